"""GD405: gradients are divided by another loss scale than the one they carry."""

from __future__ import annotations

import math

from graddebug.diagnose.evidence import SCALER
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import number, quoted
from graddebug.ledger import Consumed, Contribution, Division, Ledger, Portion
from graddebug.records import Backward, OptimizerStep, ScalerUpdate, Severity


class UnscaledByAnotherScale(Rule):
    """The scale moved, or another scaler's was used, between the loss and the division."""

    code = "GD405"
    slug = "unscaled-by-another-scale"
    title = "Gradients are divided by another loss scale than the one they carry"
    severity = Severity.ERROR
    needs = (SCALER,)
    why = (
        "A scaler divides by the scale that it has when it divides. If update() has changed that since the "
        "loss was scaled (it was called once for each optimizer, or between micro-batches), the gradients "
        "end too small or too large, in just the steps where the scale moved."
    )
    fix = "Call `scaler.update()` once, after the last step that uses the backward."
    example = (
        "scaler.scale(loss_a + loss_b).backward()\n"
        "scaler.step(a)\n"
        "scaler.update()       # wrong: b's gradients carry the scale before it\n"
        "scaler.step(b)\n"
        "scaler.update()\n"
        "\n"
        "scaler.scale(loss_a + loss_b).backward()\n"
        "scaler.step(a)\n"
        "scaler.step(b)\n"
        "scaler.update()       # right: once, for both\n"
    )

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Compare the scale of each part of a gradient with the division that came after it."""
        if fact.step.nonfinite:  # such a step is skipped inside of its kernel
            return None
        found = [(portion, *pair) for portion in fact.portions if (pair := _mismatch(portion, fact.step))]
        return [_claim(fact, found, ledger)] if found else None


def _mismatch(portion: Portion, step: OptimizerStep) -> tuple[Backward, Division] | None:
    scaling = portion.life.scaling
    divisions = scaling.divisions + ((step,) if step.grad_scale != 1.0 else ())
    if len(divisions) != 1 or scaling.edited >= 0:  # divided twice is GD413; what an edit did is not known
        return None
    division = divisions[0]
    for backward in (b for part in portion.fresh for b in _scaled(part) if b.order < division.order):
        if not math.isclose(backward.scale or 1.0, _scale(division), rel_tol=1e-3):
            return backward, division
    return None


def _scaled(part: Contribution) -> list[Backward]:
    """The backwards of a part of which the scale is known: the newest and the first one."""
    both = (part.last, part.first) if part.scaled else ()
    return [event for event in both if isinstance(event, Backward) and len(event.scalers) == 1]


def _scale(division: Division) -> float:
    return division.grad_scale if isinstance(division, OptimizerStep) else division.scale


def _claim(fact: Consumed, found: list[tuple[Portion, Backward, Division]], ledger: Ledger) -> Claim:
    _, backward, division = found[0]
    wrote, divided = backward.scale or 1.0, _scale(division)
    scaler = ledger.scaler_name(backward.scalers[0])
    other = None if division.scaler in (None, backward.scalers[0]) else ledger.scaler_name(division.scaler)
    update = None if other else _between(backward, division, ledger)
    size = (
        f"{number(max(wrote / divided, divided / wrote))} times too {'large' if wrote > divided else 'small'}"
    )
    name = ledger.optimizer_name(fact.optimizer.index)
    written = quoted(backward.site, "backward()")
    return Claim(
        step=fact.step.step,
        message=(
            f"The step of `{name}` applied gradients {size}: {written} "
            f"wrote {PARAMETERS} multiplied by {number(wrote)}, the scale of `{scaler}` then, and "
            f"{quoted(division.site, 'unscale_()')} divided by {number(divided)}, "
            + (f"the scale of `{other}`." if other else f"its scale{_after(update)}.")
        ),
        fix=_fix(scaler, other, update, written),
        roles=roles(backward=backward.site, update=update.site if update else None, step=fact.step.site),
        parameters=tuple(sorted(p for portion, *_ in found for p in portion.members)),
        evidence={"scale_of_gradients": wrote, "divided_by": divided},
        topic=scaler,
    )


def _between(backward: Backward, division: Division, ledger: Ledger) -> ScalerUpdate | None:
    scaler = ledger.scalers.get(backward.scalers[0])
    update = scaler.last_update if scaler is not None else None
    return update if update is not None and backward.order < update.order < division.order else None


def _after(update: ScalerUpdate | None) -> str:
    return f" after {quoted(update.site, 'update()')}" if update is not None else " by then"


def _fix(scaler: str, other: str | None, update: ScalerUpdate | None, backward: str) -> str:
    if other is not None:
        return f"Scale the loss of {backward} with `{other}`, which unscales it, or step with `{scaler}`."
    if update is None:
        return f"Leave the scale of `{scaler}` alone until the last step that uses {backward}."
    here = quoted(update.site, "update()")
    return f"Move {here} behind the last step that uses {backward}: one update() for each iteration."
