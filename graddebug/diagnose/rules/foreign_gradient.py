"""GD104: a step applies gradients of a backward that was made for another optimizer's step."""

from __future__ import annotations

from graddebug.diagnose.causes import first_own
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Consumed, Contribution, Ledger, Portion
from graddebug.records import Severity


class ForeignGradient(Rule):
    """The generator's backward also wrote the discriminator's gradients, and nobody cleared them."""

    code = "GD104"
    slug = "foreign-gradient"
    title = "A step applies gradients of a backward made for another optimizer"
    severity = Severity.ERROR
    needs = (STEPS,)
    why = (
        "The loss of one network often flows through another one and writes its gradients too: a "
        "generator's loss through the discriminator. If only the stepping optimizer's gradients are "
        "cleared, the leftovers are added to the other network's next gradients, and push it the wrong way."
    )
    fix = (
        "Clear an optimizer's gradients right before the backward that is meant for it, not right after "
        "its step."
    )
    example = (
        "loss_d.backward(); opt_d.step(); opt_d.zero_grad()\n"
        "loss_g.backward(); opt_g.step(); opt_g.zero_grad()    # wrong: leaves gradients in D\n"
        "\n"
        "opt_d.zero_grad(); loss_d.backward(); opt_d.step()    # right: clear before each backward\n"
        "opt_g.zero_grad(); loss_g.backward(); opt_g.step()\n"
    )

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Look for a leftover that another optimizer has stepped with."""
        if not ledger.consumers or fact.step.parent is not None:
            return None
        found = [(portion, _leftover(portion, fact, ledger)) for portion in fact.portions]
        foreign = [(portion, *leftover) for portion, leftover in found if leftover]
        return [_claim(fact, foreign, ledger)] if foreign else None


_Leftover = tuple[Contribution, Contribution, int]


def _leftover(portion: Portion, fact: Consumed, ledger: Ledger) -> _Leftover | None:
    """The leftover, the newest contribution, and the optimizer that has stepped with the leftover."""
    if len(portion.fresh) < 2:
        return None
    own = max(portion.fresh, key=lambda part: part.at)
    for part in portion.fresh:
        mine = part.line == own.line or fact.optimizer.steps_after(part)
        if mine or part.last.order > own.first.order:
            continue
        for other, at in ledger.consumers.get(part.last.order, {}).items():
            if other != fact.optimizer.index and part.at < at < own.at:
                return part, own, other
    return None


def _claim(
    fact: Consumed, foreign: list[tuple[Portion, Contribution, Contribution, int]], ledger: Ledger
) -> Claim:
    portion, leftover, own, other = foreign[0]
    first = first_own(portion.fresh, fact.optimizer.index, ledger)[0] or own
    name, owner = ledger.optimizer_name(fact.optimizer.index), ledger.optimizer_name(other)
    theirs, mine = quoted(leftover.site, "backward()"), quoted(own.site, "backward()")
    return Claim(
        step=fact.step.step,
        message=(
            f"`{name}.step()` applied gradients that belong to `{owner}`: {theirs} wrote {PARAMETERS} too, "
            f"`{owner}` stepped with it, and what was left was added to the gradients of {mine}."
        ),
        fix=f"Call `{name}.zero_grad()` right before {quoted(first.site, 'backward()')}.",
        roles=roles(foreign_backward=leftover.site, backward=own.site, step=fact.step.site),
        parameters=tuple(sorted(p for portion, *_ in foreign for p in portion.members)),
        evidence={"foreign_backwards": leftover.count, "own_backwards": own.count, "made_for": owner},
        topic=name,
    )
