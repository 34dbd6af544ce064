"""Many steps, few points: low, high and mean of a statistic over power-of-two buckets of rows.

A segment's levels lie behind each other, finest first: buckets of `FINEST` rows, then of twice as
many, and so on until one bucket holds the whole segment. NaN (not measured) is left out of a bucket;
a bucket of nothing else is NaN.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Steps = npt.NDArray[np.int64]

#: Rows in the smallest bucket: below it, reading the rows themselves is as quick.
FINEST = 64

LOW, HIGH, MEAN = 0, 1, 2


class Level(NamedTuple):
    """Where a level lies among a segment's buckets."""

    bucket: int
    start: int
    stop: int


def levels(rows: int) -> list[Level]:
    """The levels of a segment of so many rows, finest first."""
    found: list[Level] = []
    bucket, start = FINEST, 0
    while rows:
        stop = start + -(-rows // bucket)
        found.append(Level(bucket, start, stop))
        if bucket >= rows:
            break
        bucket, start = bucket * 2, stop
    return found


class _Buckets(NamedTuple):
    """A level in the making; ``total`` and ``measured`` are sum and count of what is not NaN."""

    low: Floats
    high: Floats
    total: npt.NDArray[np.float64]
    measured: npt.NDArray[np.int64]

    def merged(self, size: int) -> _Buckets:
        """Each ``size`` neighbours as one."""
        starts = np.arange(0, self.low.shape[2], size)
        return _Buckets(
            np.fmin.reduceat(self.low, starts, axis=2),
            np.fmax.reduceat(self.high, starts, axis=2),
            np.add.reduceat(self.total, starts, axis=2, dtype=np.float64),
            np.add.reduceat(self.measured, starts, axis=2, dtype=np.int64),
        )

    def stacked(self) -> Floats:
        """(parameters, statistics, 3, buckets): low, high, mean."""
        return np.stack([self.low, self.high, (self.total / self.measured).astype(np.float32)], axis=2)


def build(table: Floats) -> Floats:
    """Levels of a sealed table: (parameters, statistics, rows) to (parameters, statistics, 3, buckets)."""
    if not table.shape[2]:
        return np.empty((*table.shape[:2], 3, 0), dtype=np.float32)
    measured = ~np.isnan(table)
    rows = _Buckets(table, table, np.where(measured, table, 0), measured)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # inf - inf, and nothing measured
        found = [rows.merged(FINEST)]
        while found[-1].low.shape[2] > 1:
            found.append(found[-1].merged(2))
        return np.concatenate([level.stacked() for level in found], axis=3)


def level_for(rows: int, bucket: float) -> Level | None:
    """The coarsest level whose buckets hold at most ``bucket`` rows; None if even the finest hold more."""
    fitting = [level for level in levels(rows) if level.bucket <= bucket]
    return fitting[-1] if fitting else None


def fold(steps: Steps, low: Floats, high: Floats, *, points: int) -> tuple[Steps, Floats, Floats]:
    """At most ``points`` buckets of equal count: the first step, lowest and highest value of each."""
    if len(steps) <= points:
        return steps, low, high
    starts = np.linspace(0, len(steps), points, endpoint=False).astype(np.int64)
    return steps[starts], np.fmin.reduceat(low, starts), np.fmax.reduceat(high, starts)


def checksum(table: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """Xor of the 32-bit words of the last axis: finds any odd number of flipped bits in a place."""
    words = np.ascontiguousarray(table).view(np.uint32)
    return np.asarray(np.bitwise_xor.reduce(words, axis=-1), dtype=np.uint32)
