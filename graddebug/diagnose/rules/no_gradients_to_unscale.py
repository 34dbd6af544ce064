"""GD407: "No inf checks were recorded": which parameters had no gradient, and why."""

from __future__ import annotations

from graddebug.diagnose.evidence import SCALER
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import names, quoted, sentence, the_clear
from graddebug.ledger import Discard, Ledger, OptimizerLife
from graddebug.records import ErrorRaised, Role, Severity

_TEXT = "No inf checks were recorded"


class NoGradientsToUnscale(Rule):
    """Torch's assertion names neither the parameters nor the reason."""

    code = "GD407"
    slug = "no-gradients-to-unscale"
    title = "A scaler steps an optimizer whose parameters have no gradient"
    severity = Severity.ERROR
    needs = (SCALER,)
    why = (
        "scaler.step() looks for NaN and inf in the optimizer's gradients and fails where there is not one. "
        "Either no backward has reached the optimizer's parameters, or something has cleared them since. "
        "Torch says neither which nor why."
    )
    fix = (
        "Step only optimizers whose parameters the backward has reached, before their gradients are cleared."
    )
    example = (
        "scaler.scale(loss).backward()\n"
        "optimizer.zero_grad()\n"
        "scaler.step(optimizer)    # wrong: there is no gradient left\n"
        "\n"
        "optimizer.zero_grad()\n"
        "scaler.scale(loss).backward()\n"
        "scaler.step(optimizer)    # right\n"
    )

    def on_error(self, event: ErrorRaised, ledger: Ledger) -> Claims:
        """Find the reason in the lives of the optimizer's parameters."""
        if _TEXT not in event.text:
            return None
        if event.optimizer is None:
            return [_update_alone(event, ledger)]
        optimizer = ledger.optimizer(event.optimizer)
        why, fix, found = _reason(event, optimizer, ledger)
        name = ledger.optimizer_name(optimizer.index)
        return [
            Claim(
                step=event.step,
                message=f"`{name}` has no gradient to step with, so there is nothing to unscale: {why}",
                fix=fix,
                roles=(*found, *roles(step=event.site)),
                parameters=event.params,
                evidence={"error": f"{event.error}: {event.text}", "parameters": len(event.params)},
                topic=name,
            )
        ]


_Reason = tuple[str, str, tuple[Role, ...]]


def _reason(event: ErrorRaised, optimizer: OptimizerLife, ledger: Ledger) -> _Reason:
    name = ledger.optimizer_name(optimizer.index)
    lives = [cohort.life for cohort in ledger.cohorts.of(event.params)]
    if lives and not any(life.trainable for life in lives):
        return (
            f"all that it owns is frozen ({PARAMETERS}: `requires_grad` is False).",
            f"Leave `{name}` alone while its parameters are frozen, or call `requires_grad_(True)` on them.",
            (),
        )
    discards = [life.discard for life in lives if life.discard and life.discard.at > optimizer.last_tick]
    newest = max(discards, key=lambda discard: discard.at, default=None)
    return _cleared(newest, name) if newest is not None else _not_reached(event, optimizer, name, ledger)


def _cleared(discard: Discard, name: str) -> _Reason:
    clear, backward = the_clear(discard.event), quoted(discard.newest.site, "backward()")
    return (
        f"{backward} wrote {PARAMETERS}, and {clear} cleared the gradients before the step.",
        f"Clear before {backward}, or after the step of `{name}`.",
        roles(backward=discard.newest.site, clear=discard.event.site or discard.event.noticed_at),
    )


def _not_reached(event: ErrorRaised, optimizer: OptimizerLife, name: str, ledger: Ledger) -> _Reason:
    backwards = ledger.backwards_since(optimizer.last_tick)
    if not backwards:
        return (
            f"no backward ran since {'its last step' if optimizer.steps else 'the run began'}.",
            "Call `backward()` before the step, or leave the step out where there is no loss.",
            (),
        )
    last = backwards[-1]
    reached = names([ledger.parameter_name(index) for index in last.reached]) or "no parameter at all"
    owners = {o for index in last.reached for o in ledger.cohorts.life(index).owners} - {optimizer.index}
    belongs = f", which belong to `{names(sorted(map(ledger.optimizer_name, owners)))}`" if owners else ""
    backward = quoted(last.site, "backward()")
    return (
        f"{backward} reached {reached}{belongs}, and none of {PARAMETERS}.",
        f"Step `{name}` only where a backward has reached its parameters"
        + (
            f"; after {backward} it is `{ledger.optimizer_name(min(owners))}` that can step."
            if owners
            else "."
        ),
        roles(backward=last.site),
    )


def _update_alone(event: ErrorRaised, ledger: Ledger) -> Claim:
    name = ledger.scaler_name(event.scaler or 0)
    scaler = ledger.scalers.get(event.scaler or 0)
    before = scaler.last_update if scaler is not None else None
    earlier = f" since {quoted(before.site, 'update()')} in step {before.step}" if before else " before it"
    here = quoted(event.site, "update()")
    past = _stepped_past(before.order if before else -1, ledger)
    return Claim(
        step=event.step,
        message=f"{here} has nothing to judge: `{name}` stepped no optimizer{earlier}.{_told(past, ledger)}",
        fix=_fix_update(name, past, ledger),
        roles=roles(
            earlier_update=before.site if before else None,
            step=past.last.site if past is not None and past.last is not None else None,
            update=event.site,
        ),
        evidence={"error": f"{event.error}: {event.text}"},
        topic=name,
        variant="update",
    )


def _stepped_past(since: int, ledger: Ledger) -> OptimizerLife | None:
    """The optimizer that stepped last, if it did so after that event and without a scaler."""
    stepped = (one for one in ledger.optimizers.values() if one.last is not None and one.last.order > since)
    newest = max(stepped, key=lambda one: one.last_tick, default=None)
    return newest if newest is not None and newest.last and newest.last.scaler is None else None


def _told(past: OptimizerLife | None, ledger: Ledger) -> str:
    if past is None or past.last is None:
        return ""
    called = f"{ledger.optimizer_name(past.index)}.step()"
    return f" {sentence(quoted(past.last.site, called))} went past it."


def _fix_update(name: str, past: OptimizerLife | None, ledger: Ledger) -> str:
    if past is None:
        return f"Call `{name}.update()` once an iteration, after `{name}.step()`, not once an optimizer."
    optimizer = ledger.optimizer_name(past.index)
    return f"Call `{name}.step({optimizer})` instead of `{optimizer}.step()`."
