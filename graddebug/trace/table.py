"""Reads the statistics: any step's row, any parameter's series, from hot and sealed segments alike."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from graddebug.records import STATISTICS
from graddebug.trace import format as layout
from graddebug.trace import lod
from graddebug.trace.format import Damaged
from graddebug.trace.lod import Floats, Steps

T = TypeVar("T")


class Committed(NamedTuple):
    """The committed rows of a segment: their places in it, ascending, their CRC-32s and their steps."""

    rows: Steps
    crcs: npt.NDArray[np.uint32]
    steps: Steps


class Buckets(NamedTuple):
    """Low and high of runs of rows, with the first row of each."""

    rows: Steps
    low: Floats
    high: Floats


class Sealed:
    """A sealed segment: (parameters, statistics, rows kept), mapped."""

    def __init__(self, folder: Path, index: int, generation: int) -> None:
        self._folder, self._index, self._generation = folder, index, generation
        self._table = self._map("seg", 3)
        self._sums = self._map("sum", 3, "<u4")
        self.rows: Steps = self._kept_rows()
        self._levels: npt.NDArray[Any] | None = None
        if self._sums.shape != (*self._table.shape[:2], 2) or len(self.rows) != self._table.shape[2]:
            raise Damaged(f"the parts of sealed segment {index} do not fit together")

    def _map(self, part: str, dimensions: int, dtype: str = "<f4") -> npt.NDArray[Any]:
        path = self._folder / layout.sealed_file(part, self._index, self._generation)
        return layout.map_array(path, dimensions, dtype)

    def _kept_rows(self) -> Steps:
        if not self._generation:
            return np.arange(self._table.shape[2])
        return self._map("rows", 1, "<i4").astype(np.int64)

    @property
    def width(self) -> int:
        """Parameters the segment knows."""
        return int(self._table.shape[0])

    @property
    def reach(self) -> int:
        """Rows the segment can answer for, be it that they were dropped."""
        return sys.maxsize if self._generation else len(self.rows)

    def row(self, row: int, crc: int) -> Floats | None:
        """A row, (parameters, statistics), None if it was dropped; `Damaged` if its CRC-32 differs."""
        place = int(np.searchsorted(self.rows, row))
        if place == len(self.rows) or self.rows[place] != row:
            return None
        return _fitted(_verified(np.ascontiguousarray(self._table[:, :, place]), crc))

    def tables(self, committed: Committed) -> tuple[Steps, Floats]:
        """Which of the committed rows are kept, as places among them, and their tables one after another.

        `Damaged` if any does not match its checksum.
        """
        if not np.array_equal(lod.checksum(self._table), self._sums[:, :, 0]):
            raise Damaged(f"sealed segment {self._index} does not match its checksum")
        places = np.flatnonzero(np.isin(committed.rows, self.rows, assume_unique=True))
        kept = np.searchsorted(self.rows, committed.rows[places])
        return places, _fitted(np.ascontiguousarray(self._table.transpose(2, 0, 1)[kept]))

    def series(self, parameter: int, statistic: int, committed: Committed) -> Buckets:
        """One statistic over the rows kept; `Damaged` if it does not match its checksum."""
        if statistic >= self._table.shape[1]:
            return _in(committed, self.rows, np.full(len(self.rows), np.nan, dtype=np.float32))
        values: Floats = self._table[parameter, statistic]
        self._verify(values, parameter, statistic, of=0)
        return _in(committed, self.rows, values)

    def _verify(self, values: Floats, parameter: int, statistic: int, *, of: int) -> None:
        """Compare with the checksum of the table (``of`` 0) or the levels (1)."""
        if lod.checksum(values) != self._sums[parameter, statistic, of]:
            raise Damaged(f"sealed segment {self._index} does not match its checksum")

    def buckets(self, parameter: int, statistic: int, committed: Committed, *, bucket: float) -> Buckets:
        """Low and high over the coarsest buckets of at most ``bucket`` rows."""
        level = lod.level_for(len(self.rows), bucket)
        if level is None or statistic >= self._table.shape[1]:
            return self.series(parameter, statistic, committed)
        if self._levels is None:
            self._levels = self._map("lod", 4)
        found = self._levels[parameter, statistic, :, level.start : level.stop]
        if found.shape != (3, level.stop - level.start):
            raise Damaged(f"the levels of sealed segment {self._index} do not fit it")
        self._verify(self._levels[parameter, statistic].ravel(), parameter, statistic, of=1)
        return Buckets(self.rows[:: level.bucket], found[lod.LOW], found[lod.HIGH])


def _in(committed: Committed, rows: Steps, values: Floats) -> Buckets:
    """Values of the rows that are both kept and committed."""
    both = np.isin(rows, committed.rows, assume_unique=True)
    if both.all():
        return Buckets(rows, values, values)
    return Buckets(rows[both], values[both], values[both])


class Hot:
    """A segment that is still being written: (rows, parameters, statistics), read as far as committed."""

    def __init__(self, path: Path) -> None:
        shape, self._start = layout.read_array_header(path, 3)
        self._path = path
        self.width, self._columns = shape[1:]
        self._row_bytes = max(1, self.width * self._columns * 4)
        # Both bound what is read: a header may promise more than the file holds.
        self._capacity = min(shape[0], (path.stat().st_size - self._start) // self._row_bytes)
        self._rows: Floats = np.empty((0, self.width, self._columns), dtype=np.float32)

    @property
    def reach(self) -> int:
        """Rows the file is long enough to hold."""
        return self._capacity

    def row(self, row: int, crc: int) -> Floats:
        """A row, (parameters, statistics); `Damaged` if it does not match its CRC-32."""
        with self._path.open("rb") as file:
            file.seek(self._start + row * self._row_bytes)
            data = file.read(self.width * self._columns * 4)
        return _fitted(_verified(np.frombuffer(data, dtype="<f4").reshape(self.width, self._columns), crc))

    def tables(self, committed: Committed) -> tuple[Steps, Floats]:
        """All committed rows, as places among them, and their tables; `Damaged` if one is not whole."""
        self._read_up_to(committed)
        return np.arange(len(committed.rows)), _fitted(self._rows[committed.rows])

    def series(self, parameter: int, statistic: int, committed: Committed) -> Buckets:
        """One statistic over the committed rows; `Damaged` if a row does not match its CRC-32."""
        self._read_up_to(committed)
        rows = committed.rows
        known = statistic < self._columns
        values = self._rows[rows, parameter, statistic] if known else np.full(len(rows), np.nan, np.float32)
        return Buckets(committed.rows, values, values)

    def buckets(self, parameter: int, statistic: int, committed: Committed, *, bucket: float) -> Buckets:
        """The series itself: a hot segment has no levels yet."""
        return self.series(parameter, statistic, committed)

    def _read_up_to(self, committed: Committed) -> None:
        have, wanted = len(self._rows), int(committed.rows[-1]) + 1
        if wanted <= have:
            return
        new = self._read(have, wanted)
        fresh = committed.rows >= have
        for row, crc in zip(committed.rows[fresh].tolist(), committed.crcs[fresh].tolist(), strict=True):
            _verified(new[row - have], crc)
        self._rows = np.concatenate([self._rows, new])

    def _read(self, first: int, stop: int) -> Floats:
        with self._path.open("rb") as file:
            file.seek(self._start + first * self._row_bytes)
            data = file.read((stop - first) * self.width * self._columns * 4)
        return np.frombuffer(data, dtype="<f4").reshape(stop - first, self.width, self._columns)


def _fitted(tables: Floats) -> Floats:
    """The columns of `STATISTICS` on the last axis: NaN for those a recording was made before."""
    missing = len(STATISTICS) - tables.shape[-1]
    if missing <= 0:
        return tables[..., : len(STATISTICS)]
    unknown = np.full((*tables.shape[:-1], missing), np.nan, dtype=np.float32)
    return np.concatenate([tables, unknown], axis=-1)


def _verified(table: Floats, crc: int) -> Floats:
    if zlib.crc32(table.tobytes()) != crc:
        raise Damaged("a row of statistics does not match its checksum")
    return table


Segment = Sealed | Hot


class Segments:
    """The segments of a rank, opened when asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._generations: dict[int, int] = {}
        self._sealed: dict[int, Sealed] = {}
        self._hot: dict[int, Hot] = {}

    def refresh(self) -> None:
        """Look again which segments are sealed or thinned by now."""
        names = [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []
        generations = layout.sealed_generations(names)
        for index in [i for i in self._sealed if generations.get(i) != self._generations.get(i)]:
            del self._sealed[index]
        for index in [i for i in self._hot if i in generations]:
            del self._hot[index]
        self._generations = generations

    def ask(self, index: int, question: Callable[[Segment], T]) -> T:
        """Put a question to a segment, again each time the writer has sealed or thinned it meanwhile.

        `Damaged` if it is not there or not whole.
        """
        while True:
            generation = self._generations.get(index)
            try:
                return question(self._segment(index))
            except OSError as error:
                reason = f"{Path(str(error.filename)).name}: {error.strerror}"
            self.refresh()
            if self._generations.get(index) == generation:
                raise Damaged(reason)

    def _segment(self, index: int) -> Segment:
        if index in self._generations:
            if index not in self._sealed:
                self._sealed[index] = Sealed(self._folder, index, self._generations[index])
            return self._sealed[index]
        if index not in self._hot:
            self._hot[index] = Hot(self._folder / layout.hot_file(index))
        return self._hot[index]
