"""Which step of a recording was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graddebug.errors import UsageError

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording


def chosen_step(recording: Recording, step: int | None) -> int | None:
    """``step`` if the recording holds it, the last one for None; `UsageError` for one it does not hold."""
    if step is None:
        return recording.last_step if len(recording) else None
    try:
        return recording.step(step).step
    except (KeyError, IndexError):
        held = f"{recording.first_step} to {recording.last_step}" if len(recording) else "none"
        raise UsageError(f"step {step} is not in the recording; it holds {held}") from None
