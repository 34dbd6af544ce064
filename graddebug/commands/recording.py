"""Opening the recording that a command was given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from graddebug.errors import TraceError

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording


def open_recording(folder: str) -> Recording:
    """The recording in a folder; `TraceError` that names the ranks when it holds one for each."""
    from graddebug.trace.reader import Recording

    try:
        return Recording.open(folder)
    except TraceError:
        ranks = sorted(path.name for path in Path(folder).glob("rank[0-9]*") if (path / "run.json").is_file())
        if not ranks:
            raise
        named = Path(folder) / ranks[0]
        raise TraceError(
            f"{folder} holds {len(ranks)} recordings, one a rank: name one of them, such as {named}"
        ) from None


def state_of(recording: Recording) -> str | None:
    """A sentence on what is missing at the recording's end; None when it was closed as it should be."""
    if recording.cut:
        return recording.cut
    if recording.closed is None:
        return (
            "The recording was not closed: its program still runs, or was killed. Every whole step is here."
        )
    return None
