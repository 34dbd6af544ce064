"""GD208: a step runs, and nothing that its optimizer owns can be trained."""

from __future__ import annotations

from graddebug.diagnose.causes import IDLE_WINDOWS, nothing_can_change, orphan_pairs, trainable_owned
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import names, times
from graddebug.ledger import Consumed, Ledger
from graddebug.records import ParameterSet, RunEnd, Severity


class NothingTrainable(Rule):
    """All frozen, or tensors that were never asked to want a gradient.

    An optimizer that stands still beside one that trains is a note, at the end of the run: its part may be
    frozen for now, and unfrozen later.
    """

    code = "GD208"
    slug = "nothing-trainable"
    title = "A step runs and none of its parameters requires grad"
    severity = Severity.ERROR
    needs = (STEPS,)
    why = (
        "An optimizer skips what has no gradient, and what does not require grad never gets one: the loop "
        "runs, the loss is computed, and no weight ever changes. Most often everything was frozen and the "
        "new head was never given to the optimizer, or a tensor to be optimised was made without "
        "requires_grad."
    )
    fix = "Give the optimizer parameters that require grad, or unfreeze them with `requires_grad_(True)`."
    example = (
        "model.requires_grad_(False)\n"
        "optimizer = torch.optim.SGD(model.parameters())\n"
        "model.head = nn.Linear(64, 10)                          # wrong: not in the optimizer\n"
        "\n"
        "model.requires_grad_(False)\n"
        "model.head = nn.Linear(64, 10)\n"
        "optimizer = torch.optim.SGD(model.head.parameters())    # right\n"
    )
    options = thresholds(
        windows="steps beside another optimizer that trains",
    )
    #: Steps beside another optimizer that trains.
    windows = IDLE_WINDOWS

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._beside: dict[int, tuple[int, Claim]] = {}

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Judge a step that found no new gradient."""
        optimizer = fact.optimizer
        if fact.written or not optimizer.owned or trainable_owned(optimizer, ledger):
            self._beside.pop(optimizer.index, None)
            return None
        if fact.step.parent is not None or nothing_can_change(fact.step) or orphan_pairs(optimizer, ledger):
            return None
        if not frozenset(fact.step.zero).issuperset(fact.step.ready):
            return None  # gradients from elsewhere: put there by hand, or old ones (GD108)
        if not _another_trains(fact, ledger):
            return [_claim(fact, ledger)]
        count, claim = self._beside.get(optimizer.index, (0, None))
        self._beside[optimizer.index] = (count + 1, claim or _claim(fact, ledger, Severity.NOTE))
        return None

    def on_run_end(self, event: RunEnd, ledger: Ledger) -> Claims:
        """Nothing is unfrozen any more."""
        return [claim for count, claim in self._beside.values() if count >= self.windows]


def _another_trains(fact: Consumed, ledger: Ledger) -> bool:
    """Whether a backward since the step before wrote what another optimizer owns."""
    others = (other for other in ledger.optimizers.values() if other is not fact.optimizer)
    return any(c.life.touched > fact.since for other in others for c in ledger.cohorts.of(other.owned))


def _unowned(fact: Consumed, ledger: Ledger) -> ParameterSet:
    """What the window's backwards wrote and no optimizer owns."""
    return tuple(
        sorted(
            p
            for cohort in ledger.unowned
            if cohort.life.trainable and cohort.life.touched > fact.since
            for p in cohort.members
        )
    )


def _claim(fact: Consumed, ledger: Ledger, severity: Severity | None = None) -> Claim:
    name, owned = ledger.optimizer_name(fact.optimizer.index), fact.optimizer.owned
    called = [ledger.parameter_name(p) for p in owned]
    unowned = [ledger.parameter_name(p) for p in _unowned(fact, ledger)]
    backwards = ledger.backwards_since(fact.since)
    message = (
        f"`{name}.step()` can change nothing: of the {times(len(owned), 'parameter')} it owns "
        f"({names(called)}) none requires grad, so no backward writes a gradient there."
    )
    if unowned:
        alone = len(unowned) == 1
        message += f" {names(unowned)} did get {'one' if alone else 'some'}, and no optimizer owns "
        message += "it." if alone else "them."
    return Claim(
        step=fact.step.step,
        message=message,
        fix=(
            f"Build `{name}` with the parameters that are to learn ({names(unowned)})."
            if unowned and ledger.parameters[owned[0]].origin == "module"
            else f"Call `requires_grad_(True)` on what `{name}` is to train ({names(called)}), before the "
            "forward."
        ),
        roles=roles(backward=backwards[-1].site if backwards else None, step=fact.step.site),
        parameters=owned,
        evidence={"owned": len(owned), "unowned_with_gradient": unowned},
        severity=severity,
        anchor=("step",),
        topic=name,
    )
