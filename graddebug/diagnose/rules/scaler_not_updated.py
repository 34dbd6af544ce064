"""GD404: no `scaler.update()` between two steps, or two `unscale_` for one step: explains torch's error."""

from __future__ import annotations

from graddebug.diagnose.evidence import SCALER
from graddebug.diagnose.rule import Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Ledger, ScalerLife
from graddebug.records import ErrorRaised, ScalerStep, Severity, Unscaled

#: What torch says (2.13): of a second step, of unscaling after a step, of unscaling twice.
_SECOND_STEP = "step() has already been called since the last update"
_AFTER_STEP = "unscale_() is being called after step"
_SECOND_UNSCALE = "unscale_() has already been called on this optimizer"


class ScalerNotUpdated(Rule):
    """Torch raises far from the cause: in the next iteration, at the line that is right."""

    code = "GD404"
    slug = "scaler-not-updated"
    title = "A scaler's update() is missing between two steps, or unscale_() runs twice for one"
    severity = Severity.ERROR
    needs = (SCALER,)
    why = (
        "A scaler keeps, for each optimizer, whether its gradients are unscaled and whether it has stepped, "
        "and forgets it in update(). Where update() is missing on some path, or unscale_() runs for every "
        "micro-batch, the next call raises, in an iteration that does nothing wrong. The cause is earlier."
    )
    fix = (
        "Call `scaler.unscale_()` at most once for each step, and `scaler.update()` once after the steps of "
        "an iteration, on every path."
    )
    example = (
        "for micro in batch:\n"
        "    scaler.scale(loss(micro)).backward()\n"
        "    scaler.unscale_(optimizer)    # wrong: once for each micro-batch\n"
        "scaler.step(optimizer)            # wrong: no update() after it\n"
        "\n"
        "for micro in batch:\n"
        "    scaler.scale(loss(micro)).backward()\n"
        "scaler.unscale_(optimizer)        # right: once, when all has been added up\n"
        "scaler.step(optimizer)\n"
        "scaler.update()\n"
    )

    def on_error(self, event: ErrorRaised, ledger: Ledger) -> Claims:
        """Say where the first call was, and what is missing between the two."""
        scaler = ledger.scalers.get(event.scaler) if event.scaler is not None else None
        if scaler is None or event.optimizer is None:
            return None
        if _SECOND_STEP in event.text or _AFTER_STEP in event.text:
            return [_no_update(event, scaler, scaler.stepped.get(event.optimizer), ledger)]
        if _SECOND_UNSCALE in event.text:
            return [_twice(event, scaler, scaler.unscaled.get(event.optimizer), ledger)]
        return None


def _no_update(event: ErrorRaised, scaler: ScalerLife, first: ScalerStep | None, ledger: Ledger) -> Claim:
    optimizer = ledger.optimizer_name(event.optimizer or 0)
    site = first.site if first is not None else None
    step = quoted(site, f"{scaler.name}.step({optimizer})")
    update = scaler.last_update
    since = first.step if first is not None else event.step
    newest = (
        f"the newest was {quoted(update.site, 'update()')} in step {update.step}"
        if update
        else "there was none yet"
    )
    return Claim(
        step=event.step,
        message=(
            f"`{scaler.name}.update()` is missing after {step} in step {since}: "
            f"{quoted(event.site, event.call)} is the next call for `{optimizer}`, and no update came "
            f"between the two ({newest})."
        ),
        fix=f"Call `{scaler.name}.update()` after {step}, on every path that comes back to it.",
        roles=roles(raised=event.site, step=site),
        parameters=event.params,
        evidence={"error": f"{event.error}: {event.text}", "first_step": first.step if first else event.step},
        topic=optimizer,
    )


def _twice(event: ErrorRaised, scaler: ScalerLife, first: Unscaled | None, ledger: Ledger) -> Claim:
    optimizer = ledger.optimizer_name(event.optimizer or 0)
    site = first.site if first is not None else None
    again, before = quoted(event.site, "unscale_()"), quoted(site, "unscale_()")
    happened, fix = _between(event, first, scaler, ledger)
    same = site is not None and site == event.site
    calls = f"{again} ran twice" if same else f"{before} had unscaled them, and {again} ran again"
    return Claim(
        step=event.step,
        message=(
            f"The gradients of `{optimizer}` were to be unscaled twice without `{scaler.name}.update()` in "
            f"between: {calls}. {happened}"
        ),
        fix=fix,
        roles=roles(first_unscale=None if same else site, unscale=event.site),
        parameters=event.params,
        evidence={"error": f"{event.error}: {event.text}", "first_step": first.step if first else event.step},
        topic=optimizer,
    )


def _between(
    event: ErrorRaised, first: Unscaled | None, scaler: ScalerLife, ledger: Ledger
) -> tuple[str, str]:
    """What happened between the two calls, and what to do."""
    since = first.order if first is not None else -1
    lives = [cohort.life for cohort in ledger.cohorts.of(event.params)]
    optimizer = ledger.optimizer_name(event.optimizer or 0)
    if any(life.cleared_order > since for life in lives):
        return (
            f"The gradients were cleared in between, but there was no `{scaler.name}.step({optimizer})`: a "
            "path that skips the step skips the update, too.",
            f"Call `{scaler.name}.update()` also where the step is left out.",
        )
    if any(part.last.order > since for life in lives for part in life.fresh):
        return (
            "A backward added to the gradients in between: it stands in the loop over micro-batches.",
            f"Move {quoted(event.site, 'unscale_()')} behind the last micro-batch, right before "
            f"`{scaler.name}.step({optimizer})`.",
        )
    return (
        "Nothing happened to the gradients in between.",
        f"Unscale once for each `{scaler.name}.step({optimizer})`: leave out one of the two calls.",
    )
