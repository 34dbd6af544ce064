"""Follows a file of checked lines while it grows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graddebug.trace import format as layout
from graddebug.trace.format import Damaged


def read_from(path: Path, offset: int) -> bytes:
    """What a file holds beyond an offset; nothing if it is not there yet."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read()
    except FileNotFoundError:
        return b""


class Lines:
    """The objects of a file of checked lines, each once; it stops for good at a damaged line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.damage: str | None = None

    def new(self) -> Iterator[dict[str, Any]]:
        """Objects that were added since the last call."""
        for line in layout.whole_lines(read_from(self._path, self._offset)):
            if self.damage is not None:
                return
            try:
                plain = layout.parse_checked_line(line)
            except Damaged as error:
                self.refuse(error)
                return
            self._offset += len(line)
            yield plain

    def refuse(self, error: Damaged) -> None:
        """Read no further: what a line says makes no sense."""
        self.damage = f"{self._path.name}: {error}"
