"""What is said of a recording without a step: why that may be, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from graddebug.records import RunEnd
from graddebug.views.line import Line, Span, Tone, dim, line, strong
from graddebug.views.printable import printable

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording

EMPTY = "No step was recorded"


def empty_lines(recording: Recording) -> Iterator[Line]:
    """A heading, the reason as far as it is known, and the next thing to do."""
    why, advice = _reason(recording)
    yield line(Span("○ ", Tone.WARNING), strong(EMPTY))
    yield ()
    yield (Span(printable(why)),)
    yield (dim(advice),)


def _reason(recording: Recording) -> tuple[str, str]:
    if recording.cut:
        return recording.cut, "Run the program again; this recording cannot be mended."
    if recording.closed is None:
        return (
            "The recording is open: its program is still in its first step, or was killed in it.",
            "If the program still runs, look again after its first optimizer.step().",
        )
    if recording.closed == "exception":
        return (
            f"The program failed before its first whole step{_failure(recording)}",
            "Mend that, and run it again.",
        )
    if recording.closed == "interrupted":
        return (
            "The program was interrupted before its first whole step.",
            "Let it run until optimizer.step().",
        )
    return _never_stepped(recording)


def _failure(recording: Recording) -> str:
    details = [event.detail for event in recording.events() if isinstance(event, RunEnd) and event.detail]
    return f": {details[-1]}" if details else "."


def _never_stepped(recording: Recording) -> tuple[str, str]:
    if not recording.optimizers:
        return (
            "The program finished, and no optimizer was used while it was watched.",
            "A step ends with optimizer.step(). Where weights are updated by hand, mark each one: with "
            "run.step(): ...",
        )
    names = ", ".join(optimizer.name for optimizer in recording.optimizers)
    return (
        f"The program finished, and {names} never stepped.",
        "Was the training loop reached, and was there data in its loader?",
    )
