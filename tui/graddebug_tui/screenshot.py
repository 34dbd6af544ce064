"""A picture of the app, taken without a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from graddebug.errors import UsageError

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from graddebug_tui.app import GraddebugApp


def take(app: GraddebugApp, *, size: tuple[int, int], file: Path) -> None:
    """Write the app's first screen as SVG, ``size`` in (columns, rows).

    `UsageError` if the file cannot be written.
    """
    drawn: list[str] = []

    async def draw_and_leave(pilot: Pilot[object]) -> None:
        await pilot.pause()
        drawn.append(app.export_screenshot(title="graddebug"))
        app.exit()

    app.run(headless=True, size=size, auto_pilot=draw_and_leave)
    try:
        file.write_text("".join(drawn), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write the picture to {file}: {error.strerror}") from error
