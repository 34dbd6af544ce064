"""Writes the statistics: rows into a hot segment, full segments sealed (transposed) in a thread.

A segment's hot file is removed only after its sealed files are whole, so at any moment one of them
holds every row. No judgement about what to keep lives here; see `retention`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from graddebug.records import STATISTICS
from graddebug.trace import format as layout
from graddebug.trace import lod
from graddebug.trace.lod import Floats

#: Size of a segment: large enough that a run has few, small enough that sealing one is quick.
SEGMENT_BYTES = 16 * 2**20
ROWS_AT_MOST = 8_192
ROWS_AT_LEAST = 16


class Place(NamedTuple):
    """Where a row of statistics lies; segment -1 for a step without."""

    segment: int = -1
    row: int = -1
    crc: int = 0


def rows_in_segment(*, width: int, size_cap: int) -> int:
    """Rows a segment of so many parameters holds: a segment may take an eighth of the cap at most."""
    row_bytes = max(1, width * len(STATISTICS) * 4)
    return max(ROWS_AT_LEAST, min(ROWS_AT_MOST, min(SEGMENT_BYTES, size_cap // 8) // row_bytes))


class HotSegment:
    """A preallocated .npy of (rows, parameters, statistics), filled row by row with `os.pwrite`."""

    def __init__(self, folder: Path, *, index: int, width: int, capacity: int) -> None:
        self.index = index
        self.width = width
        self.rows = 0
        self.path = folder / layout.hot_file(index)
        self._capacity = capacity
        self._row_bytes = width * len(STATISTICS) * 4
        self._header = layout.array_header((capacity, width, len(STATISTICS)))
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        os.ftruncate(self._fd, len(self._header) + capacity * self._row_bytes)
        layout.write_all_at(self._fd, memoryview(self._header), 0)

    @property
    def full(self) -> bool:
        """Whether no row fits any more."""
        return self.rows == self._capacity

    def append(self, table: Floats) -> Place:
        """Write one row of (parameters, statistics) float32."""
        data = table.data.cast("B") if table.size else memoryview(b"")
        layout.write_all_at(self._fd, data, len(self._header) + self.rows * self._row_bytes)
        self.rows += 1
        return Place(self.index, self.rows - 1, zlib.crc32(data))

    def table(self) -> Floats:
        """All rows so far, (rows, parameters, statistics), read back from the file."""
        shape = (self.rows, self.width, len(STATISTICS))
        if not self.rows or not self.width:
            return np.empty(shape, dtype=np.float32)
        rows: Floats = np.memmap(self.path, dtype="<f4", mode="r", offset=len(self._header), shape=shape)
        return rows

    def close(self) -> None:
        """Close the file; it stays until its sealed twin is whole."""
        os.close(self._fd)


def write_sealed(folder: Path, table: Floats, *, index: int, generation: int) -> None:
    """Write (parameters, statistics, rows) with its levels and checksums; the table itself comes last.

    A segment counts as sealed as soon as its ``seg`` file exists.
    """
    levels = lod.build(table)
    flat = levels.reshape(*table.shape[:2], 3 * levels.shape[3])
    sums = np.stack([lod.checksum(table), lod.checksum(flat)], axis=2)
    layout.write_array(folder / layout.sealed_file("lod", index, generation), levels)
    layout.write_array(folder / layout.sealed_file("sum", index, generation), sums)
    layout.write_array(folder / layout.sealed_file("seg", index, generation), table)


class SegmentWriter:
    """Puts rows into segments and starts a new one when the last is full or the model has grown."""

    def __init__(self, folder: Path, *, size_cap: int, after_seal: Callable[[int], None]) -> None:
        self._folder = folder
        self._size_cap = size_cap
        self._after_seal = after_seal
        self._hot: HotSegment | None = None
        self._count = 0
        self._sealing: threading.Thread | None = None

    def append(self, table: Floats | None) -> Place:
        """Write a step's table, (parameters, statistics) float32; without one no row is taken."""
        if table is None:
            return Place()
        hot = self._segment_for(table.shape[0])
        return hot.append(table)

    def _segment_for(self, width: int) -> HotSegment:
        if self._hot is not None and (self._hot.full or self._hot.width != width):
            self._seal()
        if self._hot is None:
            capacity = rows_in_segment(width=width, size_cap=self._size_cap)
            self._hot = HotSegment(self._folder, index=self._count, width=width, capacity=capacity)
            self._count += 1
        return self._hot

    def _seal(self) -> None:
        """Hand the hot segment to a thread; one at a time: a slow disk slows the run, it fills no memory."""
        hot, self._hot = self._hot, None
        if hot is None:
            return
        hot.close()
        self._join()
        self._sealing = threading.Thread(target=self._seal_one, args=(hot,), name="graddebug-seal")
        self._sealing.start()

    def _seal_one(self, hot: HotSegment) -> None:
        # A full disk here loses nothing: the hot file stays, and the next commit meets the same error.
        with contextlib.suppress(OSError):
            table = np.ascontiguousarray(hot.table().transpose(1, 2, 0))
            write_sealed(self._folder, table, index=hot.index, generation=0)
            hot.path.unlink()
            self._after_seal(hot.index)

    def _join(self) -> None:
        if self._sealing is not None:
            self._sealing.join()
            self._sealing = None

    def close(self) -> None:
        """Seal what is there and wait for it."""
        self._seal()
        self._join()

    def abandon(self) -> None:
        """Stop without sealing: the disk has failed."""
        hot, self._hot = self._hot, None
        if hot is not None:
            hot.close()
        self._join()
