"""GD108: a step moves parameters that got no gradient."""

from __future__ import annotations

from graddebug.diagnose.causes import cleared_before
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import place
from graddebug.ledger import Consumed, Ledger
from graddebug.records import OptimizerStep, OptimizerStepEnd, ParameterSet, Severity


class IdleParameterMoved(Rule):
    """Momentum or weight decay acts on an old gradient of zeros, or on a frozen parameter."""

    code = "GD108"
    slug = "idle-parameter-moved"
    title = "A step moves parameters that got no gradient"
    severity = Severity.WARNING
    needs = (STEPS,)
    why = (
        "An optimizer skips a parameter only if its gradient is None. A gradient of zeros, left by "
        "zero_grad(set_to_none=False) or by freezing a layer in the middle of training, lets momentum and "
        "weight decay move weights that should stand still."
    )
    fix = (
        "Set gradients to None (the default of `zero_grad()`), or take frozen parameters out of the "
        "optimizer."
    )
    example = (
        "optimizer.zero_grad(set_to_none=False)\n"
        "layer.requires_grad_(False)         # wrong: its gradient stays zero, momentum goes on\n"
        "\n"
        "layer.requires_grad_(False)\n"
        "for p in layer.parameters():\n"
        "    p.grad = None                   # right\n"
    )

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._written: dict[int, bool] = {}
        self._given: dict[int, frozenset[int]] = {}

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Remember whether the step under way has anything new to apply."""
        # What was cleared just before the step is GD103.
        self._written[fact.optimizer.index] = fact.written and cleared_before(fact, ledger) is None
        if fact.step.frozen:
            self._given[fact.optimizer.index] = _given(fact)
        return None

    def on_step_end(self, event: OptimizerStepEnd, ledger: Ledger) -> Claims:
        """Judge what capture measured to have moved."""
        if not event.moved_idle:
            return None
        optimizer = ledger.optimizer(event.optimizer)
        begin = optimizer.last
        if begin is None or begin.order != event.begin or optimizer.last_nested:
            return None
        given = self._given.pop(event.optimizer, frozenset())
        candidates = [p for p in event.moved_idle if p not in given]
        frozen = tuple(p for p in candidates if p in begin.frozen or not ledger.cohorts.life(p).trainable)
        idle = tuple(p for p in candidates if p not in frozen and not _stale(p, event.optimizer, ledger))
        if not self._written.get(event.optimizer):
            idle = ()  # a step with nothing new is another finding
        name = ledger.optimizer_name(event.optimizer)
        zeros = tuple(p for p in idle if p in begin.zero)
        told = (("frozen", frozen), ("idle", zeros))
        return [_claim(begin, name, params, kind) for kind, params in told if params]


def _stale(parameter: int, optimizer: int, ledger: Ledger) -> bool:
    """Whether it moved by a gradient that was used before: by this optimizer (GD101), or another (GD209)."""
    old = ledger.cohorts.life(parameter).old
    if old is None or optimizer not in old.users:
        return False
    return old.users[optimizer].times > 1 or len(old.users) > 1


def _given(fact: Consumed) -> frozenset[int]:
    """What got a gradient from the program itself, as an estimate without autograd does."""
    return frozenset(
        p
        for portion in fact.portions
        if portion.fresh or (portion.old is None and not portion.life.zeroed)
        for p in portion.members
    )


_WHY = {
    "frozen": "although requires_grad is False: an old gradient is still there",
    "idle": "without a new gradient: no backward wrote one since the step before, but a gradient of zeros is "
    "still there",
}


def _fix(kind: str, name: str) -> str:
    if kind == "frozen":
        return f"When you freeze them, set their `.grad` to None or take them out of `{name}`."
    return f"Let `{name}.zero_grad()` set gradients to None (set_to_none=True), so that the step skips them."


def _claim(begin: OptimizerStep, name: str, params: ParameterSet, kind: str) -> Claim:
    return Claim(
        step=begin.step,
        message=(
            f"`{name}.step()` ({place(begin.site)}) moved {PARAMETERS} {_WHY[kind]}, and "
            "momentum or weight decay acts on it."
        ),
        fix=_fix(kind, name),
        roles=roles(step=begin.site),
        parameters=params,
        evidence={"moved": len(params), "frozen": kind == "frozen"},
        variant=kind,
    )
