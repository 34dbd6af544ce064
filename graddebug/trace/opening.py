"""Finds out whether a folder is a recording that this version can read; if not, says why in one message."""

from __future__ import annotations

from pathlib import Path

from graddebug.errors import TraceError
from graddebug.records import RunInfo
from graddebug.trace import format as layout
from graddebug.trace.codec import RUN
from graddebug.trace.format import Damaged


def run_info(folder: Path) -> RunInfo:
    """Who made the recording; `TraceError` unless the folder is one of a version this reader knows."""
    text = _run_text(folder)
    version = layout.run_version(text)
    if version is not None and version > layout.VERSION:
        raise TraceError(
            f"{folder} was made by a newer graddebug (format {version}; this one reads up to "
            f"{layout.VERSION}): upgrade with `pip install --upgrade graddebug`."
        )
    try:
        return RUN.decode(layout.parse_run_text(text))
    except Damaged as error:
        raise TraceError(
            f"{folder / layout.RUN} is damaged ({error}), so the recording cannot be read: record the run "
            "again."
        ) from None


def _run_text(folder: Path) -> bytes:
    if not folder.exists():
        raise TraceError(f"there is no {folder}: check the path of the recording.")
    if not folder.is_dir():
        raise TraceError(f"{folder} is a file: give the recording's folder, the one that holds {layout.RUN}.")
    try:
        return (folder / layout.RUN).read_bytes()
    except FileNotFoundError:
        seen = f"holds no {layout.RUN}" if any(folder.iterdir()) else "is empty"
        raise TraceError(
            f"{folder} {seen}, so it is no recording: give the folder that `graddebug run -o` or "
            "`graddebug.watch(out=...)` wrote."
        ) from None
