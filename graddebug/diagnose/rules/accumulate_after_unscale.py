"""GD406: a scaled backward adds to gradients that were unscaled already."""

from __future__ import annotations

from graddebug.diagnose.evidence import SCALER
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Consumed, Contribution, Division, Ledger, Portion
from graddebug.records import Backward, Severity


class AccumulateAfterUnscale(Rule):
    """One part of the gradient is right, the other one as many times too large as the scale says."""

    code = "GD406"
    slug = "accumulate-after-unscale"
    title = "A scaled backward adds to gradients that were unscaled already"
    severity = Severity.ERROR
    needs = (SCALER,)
    why = (
        "unscale_() divides what is in the gradients at that moment, and scaler.step() does not divide "
        "again. What a scaled backward adds afterwards stays multiplied by the scale and drowns the rest."
    )
    fix = "Call `scaler.unscale_(optimizer)` after the last backward of a step."
    example = (
        "scaler.scale(first).backward()\n"
        "scaler.unscale_(optimizer)         # wrong: too early\n"
        "scaler.scale(second).backward()\n"
        "scaler.step(optimizer)\n"
        "\n"
        "scaler.scale(first).backward()\n"
        "scaler.scale(second).backward()\n"
        "scaler.unscale_(optimizer)         # right: when all has been added up\n"
        "scaler.step(optimizer)\n"
    )

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Look for what was added, scaled, after the division and before the step."""
        if fact.step.grad_scale != 1.0:
            return None
        mixed = [(portion, *found) for portion in fact.portions if (found := _mixed(portion))]
        return [_claim(fact, mixed, ledger)] if mixed else None


def _mixed(portion: Portion) -> tuple[Contribution, Division] | None:
    scaling, division = portion.life.scaling, portion.life.scaling.last
    if division is None or not any(part.first.order < division.order for part in portion.fresh):
        return None
    since = max(division.order, scaling.edited)
    late = next((part for part in portion.fresh if part.scaled and part.last.order > since), None)
    return (late, division) if late is not None else None


def _claim(fact: Consumed, mixed: list[tuple[Portion, Contribution, Division]], ledger: Ledger) -> Claim:
    _, late, division = mixed[0]
    assert isinstance(late.last, Backward)  # only a backward's part is known to be scaled
    name, scale = ledger.optimizer_name(fact.optimizer.index), late.last.scale or 1.0
    unscale, backward = quoted(division.site, "unscale_()"), quoted(late.site, "backward()")
    return Claim(
        step=fact.step.step,
        message=(
            f"The step of `{name}` applied gradients of two sizes: {unscale} had unscaled {PARAMETERS}, then "
            f"{backward} added more, {scale:,.0f} times too large, which nothing unscaled."
        ),
        fix=f"Move {unscale} behind the last backward of the step.",
        roles=roles(step=fact.step.site, backward=late.site, unscale=division.site),
        parameters=tuple(sorted(p for portion, *_ in mixed for p in portion.members)),
        evidence={"scale": scale},
        topic=name,
    )
