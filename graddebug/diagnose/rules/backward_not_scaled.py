"""GD402: `scaler.step()` applies gradients of a loss that was never scaled."""

from __future__ import annotations

from graddebug.diagnose.evidence import SCALER
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Consumed, Contribution, Division, Ledger, Portion
from graddebug.records import Backward, ErrorRaised, OptimizerStep, Severity


class BackwardNotScaled(Rule):
    """The scaler divides by its scale what nobody has multiplied by it."""

    code = "GD402"
    slug = "backward-not-scaled"
    title = "A scaler's step applies gradients of a loss that was not scaled"
    severity = Severity.ERROR
    needs = (SCALER,)
    why = (
        "scaler.step() divides the gradients by the scale, 65,536 at first. If the loss did not go through "
        "scaler.scale() before its backward, the optimizer applies a 65,536th of the gradient. Adam hides "
        "much of that, and what it does not hide looks like a learning rate that is too small."
    )
    fix = "Call `scaler.scale(loss).backward()` instead of `loss.backward()`."
    example = (
        "loss.backward()                  # wrong: the scaler divides all the same\n"
        "scaler.step(optimizer)\n"
        "scaler.update()\n"
        "\n"
        "scaler.scale(loss).backward()    # right\n"
        "scaler.step(optimizer)\n"
        "scaler.update()\n"
    )

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Look for what was divided by a scale and never multiplied by one."""
        if fact.step.scaler is None or fact.step.nonfinite:  # such a step is skipped inside of its kernel
            return None
        plain = [(portion, *found) for portion in fact.portions if (found := _divided(portion, fact.step))]
        return [_claim(fact, plain, ledger)] if plain else None

    def on_error(self, event: ErrorRaised, ledger: Ledger) -> Claims:
        """Explain that a scaler which has never scaled cannot step."""
        if "_scale is None" not in event.text or event.optimizer is None:
            return None
        owned = frozenset(event.params)
        newest = [b for b in ledger.backwards_since(-1) if not owned.isdisjoint(b.written)][-1:]
        where = quoted(newest[0].site, "backward()") if newest else "no backward"
        name = ledger.scaler_name(event.scaler or 0)
        others = [ledger.scaler_name(scaler) for b in newest for scaler in b.scalers]
        by = f"scaled by `{others[0]}`" if others else "not scaled"
        claim = Claim(
            step=event.step,
            message=(
                f"`{event.call}()` of `{name}` fails because `{name}.scale()` was never called: {where} ran "
                f"on a loss that was {by}."
            ),
            fix=f"Call `{name}.scale(loss).backward()`"
            + (f", or step with `{others[0]}`." if others else "."),
            roles=roles(backward=newest[0].site if newest else None, step=event.site),
            parameters=event.params,
            topic=name,
        )
        return [claim]


def _divided(portion: Portion, step: OptimizerStep) -> tuple[Contribution, Division] | None:
    """A part that was not scaled and the division that came after it: the kernel's own, or ``unscale_``."""
    divisions = portion.life.scaling.divisions + ((step,) if step.grad_scale != 1.0 else ())
    for division in divisions:
        if _scale(division) == 1.0:
            continue
        for part in portion.fresh:
            if (
                isinstance(part.first, Backward)
                and part.scaled is False
                and part.first.order < division.order
            ):
                return part, division
    return None


def _scale(division: Division) -> float:
    return division.grad_scale if isinstance(division, OptimizerStep) else division.scale


def _claim(fact: Consumed, plain: list[tuple[Portion, Contribution, Division]], ledger: Ledger) -> Claim:
    _, part, division = plain[0]
    scale, scaler = _scale(division), ledger.scaler_name(fact.step.scaler or 0)
    backward = quoted(part.site, "backward()")
    return Claim(
        step=fact.step.step,
        message=(
            f"`{scaler}.step({ledger.optimizer_name(fact.optimizer.index)})` applied gradients that are "
            f"{scale:,.0f} times too small: {backward} wrote {PARAMETERS} without `{scaler}.scale()`, and "
            f"the scaler divided them by {scale:,.0f} all the same."
        ),
        fix=f"Call `{scaler}.scale(loss).backward()` at {backward}.",
        roles=roles(step=fact.step.site, backward=part.site),
        parameters=tuple(sorted(p for portion, *_ in plain for p in portion.members)),
        evidence={"scale": scale, "backwards_not_scaled": part.count},
        topic=scaler,
    )
