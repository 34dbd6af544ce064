"""GD107: a step runs although no backward has written any of its gradients."""

from __future__ import annotations

from graddebug.diagnose.causes import (
    cleared_before,
    holds_nothing,
    nothing_can_change,
    orphan_pairs,
    reaching_nothing,
)
from graddebug.diagnose.rule import Claim, Claims, Rule, roles
from graddebug.diagnose.wording import place, quoted, times
from graddebug.ledger import Consumed, Ledger
from graddebug.records import Severity


class StepWithoutGradient(Rule):
    """Nothing was written since the optimizer's last step, and no other rule says why."""

    code = "GD107"
    slug = "step-without-gradient"
    title = "A step runs without a new gradient"
    severity = Severity.WARNING
    why = (
        "A step without a backward before it applies the last gradient once more, or nothing at all. Most "
        "often step() "
        "is called twice, in the wrong branch, or for the wrong optimizer."
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

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Judge a step none of whose gradients is new."""
        step = fact.step
        if fact.written or step.closure or step.parent is not None or nothing_can_change(step):
            return None
        if _explained(fact, ledger) or _unseen(fact):
            return None
        name = ledger.optimizer_name(fact.optimizer.index)
        return [
            Claim(
                step=step.step,
                message=_message(name, fact),
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
    """Cleared before the step, out of the backward's reach, or owning what no module owns any more."""
    return bool(
        cleared_before(fact, ledger) or reaching_nothing(fact, ledger) or orphan_pairs(fact.optimizer, ledger)
    )


def _unseen(fact: Consumed) -> bool:
    """Gradients are there that were written where graddebug did not look."""
    used_or_cleared = any(portion.old for portion in fact.portions) or holds_nothing(fact)
    return not used_or_cleared


def _message(name: str, fact: Consumed) -> str:
    owned = times(len(fact.step.params), "parameter")
    if not any(portion.old for portion in fact.portions):
        return (
            f"`{name}.step()` ran, but none of its {owned} has a gradient: no backward wrote one since its "
            "last step."
        )
    last = fact.optimizer.last
    before = quoted(last.site, f"{name}.step()") if last else "an earlier step"
    return (
        f"`{name}.step()` ran, but no backward wrote any gradient of its {owned} since {before}: "
        f"it applied {len(fact.step.ready)} old ones once more."
    )
