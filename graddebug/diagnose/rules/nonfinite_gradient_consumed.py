"""GD505: a step applies NaN or inf, and no measured op says where it comes from."""

from __future__ import annotations

import math

from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.nonfinite.facts import Told
from graddebug.diagnose.nonfinite.telling import STREAK, origins_of, outcome
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import names, quoted, sentence
from graddebug.ledger import Contribution, Ledger, NonfiniteSettled
from graddebug.records import Backward, Origin, ParameterSet, Severity


class NonfiniteGradientConsumed(Rule):
    """What parameters alone tell: which of them got a bad gradient and which a good one."""

    code = "GD505"
    slug = "nonfinite-gradient-consumed"
    title = "A step applies gradients that are NaN or inf"
    severity = Severity.ERROR
    needs = (STEPS,)
    why = (
        "One step with a NaN gradient makes the weights NaN, and with them every later loss; an optimizer "
        "with momentum keeps it for good. Nothing raises: training goes on and learns nothing."
    )
    fix = "Measure the nodes to learn which op made it: `graddebug run --nodes always`; skip bad steps."
    example = (
        "loss.backward()\n"
        "optimizer.step()                     # wrong: whatever the gradients hold\n"
        "\n"
        "loss.backward()\n"
        "norm = clip_grad_norm_(model.parameters(), 1.0)\n"
        "if norm.isfinite():                  # right\n"
        "    optimizer.step()\n"
    )

    def on_nonfinite_settled(self, fact: NonfiniteSettled, ledger: Ledger) -> Claims:
        """Judge a step that applied bad gradients, or was lost to them, if no origin is known."""
        if origins_of(fact):
            return None
        if fact.fate == "consumed":
            return [_claim(fact, ledger)]
        skipping = fact.fate == "cleared" and fact.in_a_row == STREAK  # a scaler's skips are for GD409
        return [_lost(fact, ledger)] if fact.fate == "aborted" or skipping else None


def _claim(fact: NonfiniteSettled, ledger: Ledger) -> Claim:
    step = fact.step
    name = ledger.optimizer_name(step.optimizer) if step else ""
    what = sentence(quoted(step.site, f"{name}.step()")) if step else "The program's own update"
    backward = fact.backward.site if fact.backward else None
    written = _newest(fact, ledger)
    later = fact.event.backward < 0 and written is not None and not written.nonfinite
    return Claim(
        step=fact.at.step,
        message=(
            f"{what} applied gradients of {PARAMETERS} that are NaN or inf. "
            f"{_after(written) if later else _narrowed(fact, ledger)}"
        ),
        fix=_mend(fact) if later else _measure(),
        roles=roles(
            backward=backward or (written.site if written else None), step=step.site if step else None
        ),
        parameters=fact.params,
        evidence={
            "bad_parameters": len(fact.params),
            "healthy_parameters": len(fact.event.healthy),
            "captured": fact.event.captured,
        }
        | ({} if fact.event.loss is None else {"loss": fact.event.loss}),
        anchor=("step",) if step and step.site else (),
        topic=name,
    )


def _lost(fact: NonfiniteSettled, ledger: Ledger) -> Claim:
    """No step applied them, but the run ended in an exception, or no step is taken any more."""
    backward = fact.backward.site if fact.backward else None
    return Claim(
        step=fact.event.step,
        message=(
            f"{sentence(quoted(backward, 'backward()'))} wrote gradients of {PARAMETERS} that are NaN or "
            f"inf. {_narrowed(fact, ledger)} {outcome(fact, ledger)}"
        ),
        fix=_measure(),
        roles=roles(backward=backward),
        parameters=fact.params,
        evidence={
            "bad_parameters": len(fact.params),
            "healthy_parameters": len(fact.event.healthy),
            "captured": fact.event.captured,
        }
        | ({} if fact.event.loss is None else {"loss": fact.event.loss}),
    )


def _newest(fact: NonfiniteSettled, ledger: Ledger) -> Contribution | None:
    found = [life.newest for index in fact.params if (life := ledger.cohorts.life(index)).newest]
    return max(filter(None, found), key=lambda part: part.at, default=None)


def _after(written: Contribution | None) -> str:
    line = quoted(written.site if written else None, "backward()")
    if written is not None and not isinstance(written.last, Backward):
        return f"The program put them there itself ({line})."
    return f"They were finite when {line} had written them: what came between backward and step made them so."


def _mend(fact: NonfiniteSettled) -> str:
    return (
        "Look between backward and step: a clip by a norm that is inf or NaN, an unscale by a scale of 0, a "
        "division by a count of 0."
    )


def _measure() -> str:
    return (
        'Run it again with `graddebug run --nodes always`, or `graddebug.watch(..., nodes="always")`: then '
        "the op that made it, its operands and its line are told."
    )


def _narrowed(fact: NonfiniteSettled, ledger: Ledger) -> str:
    """The narrowest place that the graph, the parameters and the loss allow."""
    event = fact.event
    if event.between:
        return _between(event.between, ledger)
    if event.loss is not None and not math.isfinite(event.loss):
        return f"The loss was {event.loss} already: it was born in the forward, before any gradient."
    if event.healthy:
        return (
            f"In the same backward {_called(event.healthy, ledger)} got finite gradients: the bad number was "
            f"born after the way to {'those' if len(event.healthy) > 1 else 'that one'} had parted, before "
            f"{_called(event.params or fact.params, ledger)}."
        )
    return "No parameter got a finite gradient, though the loss was finite: look near it."


def _between(places: tuple[Origin, ...], ledger: Ledger) -> str:
    """Nodes at which the graph itself allows it; one with operands kept a bad tensor of the forward."""
    first = places[0]
    if first.born == "weights" and not first.op:
        name = ledger.parameter_name(first.parameter) if first.parameter is not None else "a parameter"
        return f"The weights of {name} were NaN or inf already when that backward began."
    told = list(dict.fromkeys(_at(place) for place in places))
    if first.operands:
        bad = next((one for one in first.operands if one.nan or one.inf), None)
        held = f" (it holds {Told(bad):bad})" if bad else ""
        return f"The first op that kept a tensor which is not finite is {told[0]}{held}."
    if len(told) == 1:
        return f"It was born at {told[0]}."
    if len(places) == 2:
        return f"It was born between {told[0]} and {told[1]}, on the way back."
    return f"It was born at one of these: {names(told)}."


def _at(place: Origin) -> str:
    line = quoted(place.site, place.op) if place.site else f"`{place.op}`"
    return f"{line} in {place.module}" if place.module else line


def _called(params: ParameterSet, ledger: Ledger) -> str:
    return names([ledger.parameter_name(index) for index in params])
