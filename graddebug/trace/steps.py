"""The committed steps of a recording: which there are, where their data lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from graddebug.records import StepRecord
from graddebug.trace import format as layout
from graddebug.trace.lines import read_from
from graddebug.trace.table import Committed

Records = npt.NDArray[np.void]


class CommitLog:
    """The commit records of a rank, read as they are added and trusted as far as their checks agree."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._crc = 0
        self.records: Records = np.empty(0, dtype=layout.STEP)
        self.damage: str | None = None

    def refresh(self) -> bool:
        """Read what was added; whether there was any."""
        data = read_from(self._path, len(self.records) * layout.STEP.itemsize)
        new = self._ascending(layout.whole_steps(data, self._crc))
        self.damage = _damage(data, new)
        if not len(new):
            return False
        self._crc = layout.crc_after(new, self._crc)
        self.records = np.concatenate([self.records, new])
        return True

    def _ascending(self, new: Records) -> Records:
        """The records up to the first whose step does not come after the one before."""
        last = self.records["step"][-1:]
        falls = np.diff(np.concatenate([last, new["step"]])) <= 0
        return new[: int(np.argmax(falls)) + 1 - len(last)] if falls.any() else new


def _damage(data: bytes, whole: Records) -> str | None:
    left = len(data) - len(whole) * layout.STEP.itemsize
    if not left:
        return None
    if left < layout.STEP.itemsize:
        return f"the next commit record in {layout.STEPS} ends after {left} of {layout.STEP.itemsize} bytes"
    return f"the next commit record in {layout.STEPS} does not match its checksum or comes out of order"


def committed_by_segment(records: Records) -> dict[int, Committed]:
    """The rows of each segment that these records commit, in order."""
    measured = records[records["segment"] >= 0]
    borders = np.flatnonzero(np.diff(measured["segment"])) + 1
    return {
        int(part["segment"][0]): Committed(
            part["row"].astype(np.int64), part["row_crc"].copy(), part["step"].astype(np.int64)
        )
        for part in np.split(measured, borders)
        if len(part)
    }


class Steps(Sequence[StepRecord]):
    """The committed steps in order, made into records as they are asked for."""

    def __init__(self, records: Records, graphs: Mapping[int, str]) -> None:
        self._records = records
        self._graphs = graphs

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> StepRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Steps: ...
    def __getitem__(self, index: int | slice) -> StepRecord | Steps:
        if isinstance(index, slice):
            return Steps(self._records[index], self._graphs)
        return next(self._made(self._records[[index]]))

    def __iter__(self) -> Iterator[StepRecord]:
        return self._made(self._records)

    def _made(self, records: Records) -> Iterator[StepRecord]:
        names = ("step", "time", "duration", "loss", "scale", "graph", "flags")
        rows = zip(*(records[name].tolist() for name in names), strict=True)
        for step, time, duration, loss, scale, graph, flags in rows:
            yield StepRecord(
                step=step,
                time=time,
                duration=duration,
                loss=loss if flags & layout.HAS_LOSS else None,
                scale=scale if flags & layout.HAS_SCALE else None,
                graph=self._graphs.get(graph),
            )
