"""GD303: a step follows a backward that reaches none of its parameters."""

from __future__ import annotations

from graddebug.diagnose.causes import (
    cut_off,
    nothing_can_change,
    orphan_pairs,
    reaching_nothing,
    trainable_owned,
)
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import quoted, times
from graddebug.ledger import Consumed, Ledger
from graddebug.records import Backward, Severity


class DetachedStep(Rule):
    """The loss is cut off from everything the stepping optimizer owns."""

    code = "GD303"
    slug = "detached-step"
    title = "A step follows a backward that reaches none of its parameters"
    severity = Severity.ERROR
    needs = (STEPS,)
    why = (
        "A detach(), an argmax or a no_grad block between a network and its loss raises no error as long "
        "as the loss depends on something else that wants a gradient. The backward runs, it writes other "
        "parameters or none, and the network's step has nothing to apply: it stays as it was initialised."
    )
    fix = (
        "Remove the cut between the optimizer's parameters and the loss, or step the optimizer that owns "
        "what the backward reaches."
    )
    example = (
        "fake = generator(noise).detach()\n"
        "loss_g = loss_fn(discriminator(fake), real_label)    # wrong: nothing reaches the generator\n"
        "loss_g.backward(); opt_g.step()\n"
        "\n"
        "fake = generator(noise)                              # right\n"
        "loss_g = loss_fn(discriminator(fake), real_label)\n"
        "loss_g.backward(); opt_g.step()\n"
    )
    options = thresholds(
        windows="windows in a row without a gradient, for parameters that never had one",
    )
    windows = 3

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._in_vain: dict[int, int] = {}

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Judge a step none of whose gradients is new."""
        index = fact.optimizer.index
        if fact.written or fact.step.parent is not None:
            self._in_vain.pop(index, None)
            return None
        backwards = reaching_nothing(fact, ledger)
        if not _speaks(fact, backwards, ledger):
            return None
        self._in_vain[index] = self._in_vain.get(index, 0) + 1
        alone = len(backwards) == 1 and not _serves_another(backwards[0], index, ledger)
        never = self._in_vain[index] >= self.windows and _never_written(fact, ledger)
        return [_claim(fact, backwards[-1], ledger)] if alone or never else None


def _speaks(fact: Consumed, backwards: list[Backward], ledger: Ledger) -> bool:
    """Whether the window's backwards are whole, their reach known, and no other rule's business."""
    if not backwards or any(
        b.leaf_root or b.failed or not (b.reached or b.written or b.nodes) for b in backwards
    ):
        return False
    idle = nothing_can_change(fact.step) or not trainable_owned(fact.optimizer, ledger)
    explained = orphan_pairs(fact.optimizer, ledger) or cut_off(fact.optimizer, ledger, fact.since)
    return not idle and not explained


def _serves_another(backward: Backward, index: int, ledger: Ledger) -> bool:
    owned = (other.owned for other in ledger.optimizers.values() if other.index != index)
    return any(not frozenset(backward.reached).isdisjoint(params) for params in owned)


def _never_written(fact: Consumed, ledger: Ledger) -> bool:
    return all(cohort.life.touched < 0 for cohort in ledger.cohorts.of(fact.optimizer.owned))


def _claim(fact: Consumed, backward: Backward, ledger: Ledger) -> Claim:
    name = ledger.optimizer_name(fact.optimizer.index)
    line = quoted(backward.site, "backward()")
    reached = [ledger.parameter_name(p) for p in backward.reached]
    where = (
        f"It reached {times(len(reached), 'parameter')} of others"
        if reached
        else "It reached no parameter at all"
    )
    return Claim(
        step=fact.step.step,
        message=(
            f"`{name}.step()` has nothing to apply: {line} reached none of its "
            f"{times(len(fact.step.params), 'parameter')} ({PARAMETERS}). {where}."
        ),
        fix=(
            "Look for a `detach()`, an `argmax`, a `no_grad` block or a rebuilt tensor between "
            f"{PARAMETERS} and {line}."
        ),
        roles=roles(backward=backward.site, step=fact.step.site),
        parameters=fact.step.params,
        evidence={"reached": len(reached), "owned": len(fact.step.params)},
        topic=name,
    )
