"""Events of mixed precision and of non-finite numbers in words, for the life of a step."""

from __future__ import annotations

from collections.abc import Callable

from graddebug.records import (
    Amplified,
    ErrorRaised,
    Event,
    Nonfinite,
    Origin,
    ParameterSet,
    ScalerStep,
    ScalerUpdate,
    SchedulerStep,
    Unscaled,
)
from graddebug.views.census import op_name
from graddebug.views.figures import number, several
from graddebug.views.line import Line, Span, Tone, line
from graddebug.views.printable import printable
from graddebug.views.quote import place

Told = tuple[str, Tone, Line]
Named = Callable[[ParameterSet], str]


def precision_words(event: Event, gradients: Named) -> Told | None:  # noqa: PLR0911 - one return a kind
    """A word for the event, its tone, and what happened; None for events of another kind."""
    match event:
        case Unscaled():
            return "unscaled", Tone.PLAIN, _unscaled(event, gradients)
        case ScalerStep():
            return ("skipped", Tone.WARNING, _skipped(event, gradients)) if event.skipped else None
        case ScalerUpdate():
            return "scale", Tone.DIM, _update(event)
        case SchedulerStep():
            rates = ", ".join(map(number, event.lr[:3]))
            return "schedule", Tone.DIM, line(f"{printable(event.scheduler)} stepped, lr {rates}")
        case ErrorRaised():
            words = printable(f"{event.call} raised {event.error}: {event.text}")
            return "error", Tone.ERROR, line(words)
        case Nonfinite():
            return "nan or inf", Tone.ERROR, _nonfinite(event, gradients)
        case Amplified():
            grown = f"gradient norm {number(event.norm_in)} became {number(event.norm_out)}"
            return "amplified", Tone.WARNING, line(f"{grown}{_born_at(event.origins[:1])}")
        case _:
            return None


def _unscaled(event: Unscaled, gradients: Named) -> Line:
    bad = Span("found NaN or inf: " if event.found_inf else "", Tone.WARNING)
    by = "scaler.step() divided" if event.implicit else "divided"
    return line(bad, f"{by} {gradients(event.params)} by {number(event.scale)}")


def _skipped(event: ScalerStep, gradients: Named) -> Line:
    bad = f"NaN or inf in {gradients(event.nonfinite)}" if event.nonfinite else "NaN or inf"
    return line(f"the weights were left alone: {bad} at scale {number(event.scale)}")


def _update(event: ScalerUpdate) -> Line:
    if event.before == event.after:
        good = several(event.growth_tracker, "good step")
        return line(f"stays {number(event.after)}, {good} so far")
    how = "set by the program: " if event.given else ""
    return line(f"{how}{number(event.before)} to {number(event.after)}")


def _nonfinite(event: Nonfinite, gradients: Named) -> Line:
    what = gradients(event.params) if event.params else "the loss"
    where = _born_at(event.origins[:1]) if event.origins else ", its origin was not measured"
    return line(f"in {what}{where}")


def _born_at(origins: tuple[Origin, ...]) -> str:
    words = ""
    for origin in origins:
        op = f" in {op_name(origin.op)}" if origin.op else ""
        module = f" of {printable(origin.module)}" if origin.module else ""
        at = f" at {place(origin.site)}" if origin.site else ""
        words += f", {origin.born}{op}{module}{at}"
    return words
