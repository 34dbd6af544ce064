"""GD103: a step finds only gradients that were cleared after their backward."""

from __future__ import annotations

from graddebug.diagnose.causes import cleared_before
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted, that_clear, the_clear
from graddebug.ledger import Consumed, Discard, Ledger
from graddebug.records import Severity


class ClearedBeforeStep(Rule):
    """A backward wrote gradients for the step, and a clear came before it."""

    code = "GD103"
    slug = "cleared-before-step"
    title = "Gradients are cleared between the backward and its step"
    severity = Severity.ERROR
    needs = (STEPS,)
    why = (
        "A clear between backward and step leaves the step nothing to apply. With gradients set to None "
        "nothing is learnt; with gradients set to zero, momentum and weight decay still move the weights."
    )
    fix = "Call `zero_grad()` before the backward or after the step, not between the two."
    example = (
        "loss.backward()\n"
        "optimizer.zero_grad()    # wrong: throws away what backward has just computed\n"
        "optimizer.step()\n"
        "\n"
        "optimizer.zero_grad()    # right\n"
        "loss.backward()\n"
        "optimizer.step()\n"
    )

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Look for a clear that took all the step had."""
        discard = None if fact.backwards else cleared_before(fact, ledger)
        if (
            discard is None or discard.nonfinite
        ):  # clearing bad gradients and stepping anyway is a way to skip
            return None
        cohorts = ledger.cohorts.of(fact.optimizer.owned)
        lost = tuple(sorted(p for c in cohorts if c.life.discard is not None for p in c.members))
        name = ledger.optimizer_name(fact.optimizer.index)
        backward = quoted(discard.newest.site, "backward()")
        left = "None" if discard.event.to_none else "zero"
        return [
            Claim(
                step=fact.step.step,
                message=(
                    f"`{name}.step()` found only cleared gradients: {backward} wrote those of {PARAMETERS}, "
                    f"then {the_clear(discard.event)} set them to {left} before the step could use them."
                ),
                fix=_fix(discard, fact),
                roles=roles(
                    backward=discard.newest.site,
                    step=fact.step.site,
                    zero_grad=discard.event.site,
                ),
                parameters=lost,
                evidence={"cleared_parameters": len(lost), "set_to_none": discard.event.to_none},
                topic=name,
            )
        ]


def _fix(discard: Discard, fact: Consumed) -> str:
    clear, behind = that_clear(discard.event), f"behind {quoted(fact.step.site, 'step()')}"
    if discard.newest.count > 1:  # in front of each of several backwards it would lose all but the last
        return f"Move {clear} {behind}."
    return f"Move {clear} in front of {quoted(discard.newest.site, 'backward()')}, or {behind}."
