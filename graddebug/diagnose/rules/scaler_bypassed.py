"""GD403: `optimizer.step()` applies gradients that still carry the loss scale."""

from __future__ import annotations

from graddebug.diagnose.evidence import SCALER
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Consumed, Contribution, Ledger, Portion
from graddebug.records import Backward, Severity


class ScalerBypassed(Rule):
    """The loss was scaled, and the step does not know of it."""

    code = "GD403"
    slug = "scaler-bypassed"
    title = "A step applies gradients that still carry the loss scale"
    severity = Severity.ERROR
    needs = (SCALER,)
    why = (
        "scaler.scale() makes every gradient as many times larger as the scale says, 65,536 at first. "
        "scaler.step() takes that back before the optimizer steps; optimizer.step() does not. SGD takes a "
        "step 65,536 times too long. Adam, which divides by the gradient's size, hides it until the scale "
        "changes, and never skips a step whose gradients overflowed."
    )
    fix = "Call `scaler.step(optimizer)` and `scaler.update()` instead of `optimizer.step()`."
    example = (
        "scaler.scale(loss).backward()\n"
        "optimizer.step()          # wrong: applies scaled gradients\n"
        "\n"
        "scaler.scale(loss).backward()\n"
        "scaler.step(optimizer)    # right\n"
        "scaler.update()\n"
    )

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Look for what was scaled and not divided since."""
        step = fact.step
        if step.scaler is not None or step.grad_scale != 1.0 or step.closure:
            return None
        scaled = [(portion, part) for portion in fact.portions if (part := _still_scaled(portion))]
        return [_claim(fact, scaled, ledger)] if scaled else None


def _still_scaled(portion: Portion) -> Contribution | None:
    scaling = portion.life.scaling
    since = max(scaling.last.order if scaling.last is not None else -1, scaling.edited)
    return next((part for part in portion.fresh if part.scaled and part.last.order > since), None)


def _claim(fact: Consumed, scaled: list[tuple[Portion, Contribution]], ledger: Ledger) -> Claim:
    part = scaled[0][1]
    assert isinstance(part.last, Backward)  # only a backward's part is known to be scaled
    scale, scaler = part.last.scale or 1.0, ledger.scaler_name(part.last.scalers[-1])
    name = ledger.optimizer_name(fact.optimizer.index)
    return Claim(
        step=fact.step.step,
        message=(
            f"`{name}.step()` applied gradients that are still multiplied by the loss scale of {scale:,.0f}: "
            f"{quoted(part.site, 'backward()')} wrote {PARAMETERS} scaled by `{scaler}`, and nothing divided "
            "them before the step."
        ),
        fix=f"Call `{scaler}.step({name})` and then `{scaler}.update()` instead of `{name}.step()`.",
        roles=roles(backward=part.site, step=fact.step.site),
        parameters=tuple(sorted(p for portion, _ in scaled for p in portion.members)),
        evidence={"scale": scale},
        topic=name,
    )
