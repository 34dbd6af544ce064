"""GD107: a step runs although no backward has written any of its gradients."""

from __future__ import annotations

from dataclasses import dataclass

from graddebug.diagnose.causes import (
    cleared_before,
    holds_nothing,
    nothing_can_change,
    orphan_pairs,
    reaching_nothing,
    trainable_owned,
)
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import place, quoted, times
from graddebug.ledger import Consumed, Ledger
from graddebug.records import Severity


@dataclass(slots=True)
class _Steps:
    """How many steps of an optimizer had new gradients, and how many found only None."""

    full: int = 0
    empty: int = 0


class StepWithoutGradient(Rule):
    """Nothing was written since the optimizer's last step, and no other rule says why."""

    code = "GD107"
    slug = "step-without-gradient"
    title = "A step runs without a new gradient"
    severity = Severity.WARNING
    needs = (STEPS,)
    why = (
        "A step without a backward before it applies the last gradient once more, or nothing at all. Most "
        "often step() is called twice, in the wrong branch, or for the wrong optimizer."
    )
    fix = "Call `step()` once for each backward, or for each group of accumulated backwards."
    example = (
        "loss.backward()\n"
        "optimizer.step()\n"
        "optimizer.step()    # wrong: nothing new to apply\n"
        "\n"
        "loss.backward()\n"
        "optimizer.step()    # right\n"
    )
    options = thresholds(
        windows="steps in a row without any gradient",
    )
    windows = 3

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._steps: dict[int, _Steps] = {}

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Judge a step none of whose gradients is new."""
        step = fact.step
        if step.closure or step.parent is not None or nothing_can_change(step):
            return None
        steps = self._steps.setdefault(fact.optimizer.index, _Steps())
        if fact.written:
            steps.full += 1
            return None
        if _explained(fact, ledger) or _unseen(fact):
            return None
        # A step that finds only None changes nothing: now and then (an empty batch, a dry run) it is right.
        steps.empty += not step.ready
        if not step.ready and steps.empty <= max(self.windows - 1, steps.full):
            return None
        name = ledger.optimizer_name(fact.optimizer.index)
        return [
            Claim(
                step=step.step,
                message=_message(name, fact, steps),
                fix=(
                    f"Call `{name}.step()` at {place(step.site)} only after a backward that writes its "
                    "gradients."
                ),
                roles=roles(step=step.site),
                parameters=step.params,
                evidence={"with_gradient": len(step.ready), "owned": len(step.params)},
                topic=name,
            )
        ]


def _explained(fact: Consumed, ledger: Ledger) -> bool:
    """Frozen, cleared before, out of the backward's reach, or owning what no module owns any more."""
    return bool(
        not trainable_owned(fact.optimizer, ledger)
        or cleared_before(fact, ledger)
        or reaching_nothing(fact, ledger)
        or orphan_pairs(fact.optimizer, ledger)
    )


def _unseen(fact: Consumed) -> bool:
    """Gradients are there that were written where graddebug did not look."""
    used_or_cleared = any(portion.old for portion in fact.portions) or holds_nothing(fact)
    return not used_or_cleared


def _message(name: str, fact: Consumed, steps: _Steps) -> str:
    owned = times(len(fact.step.params), "parameter")
    if not fact.step.ready:
        return (
            f"`{name}.step()` ran {times(steps.empty, 'time')} with nothing to apply: none of its {owned} "
            "had a gradient, because no backward wrote one since the step before."
        )
    if not any(portion.old for portion in fact.portions):
        return (
            f"`{name}.step()` ran, but the gradients of its {owned} are all zero: no backward wrote one "
            "since its last step."
        )
    last = fact.optimizer.last
    before = quoted(last.site, f"{name}.step()") if last else "an earlier step"
    return (
        f"`{name}.step()` ran, but no backward wrote any gradient of its {owned} since {before}: it applied "
        f"{len(fact.step.ready)} old ones once more."
    )
