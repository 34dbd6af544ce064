"""Files that only grow: single ones, and the events in blocks of bounded size."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path

from graddebug.trace import format as layout


class Appender:
    """A file that only grows; a write reaches the operating system before `write` returns.

    It writes at its own count instead of the file's end, so that a write which an interrupt cut off
    between the file and the count is written over by the next.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._fd = os.open(path, flags, 0o666)
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        layout.write_all_at(self._fd, memoryview(data), self.size)
        self.size += len(data)

    def removed(self) -> bool:
        """Whether the file was deleted under us: writing to it still succeeds, and is lost."""
        return os.fstat(self._fd).st_nlink == 0

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class EventBlocks:
    """Events in files of bounded size, so that the oldest can be dropped whole."""

    def __init__(self, folder: Path, *, block_bytes: int, after_block: Callable[[int], None]) -> None:
        self._folder = folder
        self._block_bytes = block_bytes
        self._after_block = after_block
        self.index = 0
        self._file = Appender(folder / layout.events_file(0))

    def write(self, chunk: bytes) -> tuple[int, int, int]:
        """Append a chunk; where it begins, its length and its CRC-32. `index` is its block."""
        if self._file.size >= self._block_bytes:
            self._next_block()
        at = self._file.size
        self._file.write(chunk)
        return at, len(chunk), zlib.crc32(chunk)

    def _next_block(self) -> None:
        self._file.close()
        self.index += 1
        self._file = Appender(self._folder / layout.events_file(self.index))
        self._after_block(self.index)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
