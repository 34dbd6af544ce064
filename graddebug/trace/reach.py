"""How far a recording can be read: up to the last step whose data is all there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from graddebug.trace import format as layout
from graddebug.trace.chunks import Chunks
from graddebug.trace.format import Damaged
from graddebug.trace.steps import CommitLog, Records, committed_by_segment
from graddebug.trace.table import Committed, Segments
from graddebug.trace.tables import Tables


class Limit(NamedTuple):
    """How many steps can be read, and why no more."""

    steps: int
    reason: str


class Reach:
    """Compares what the commit records vouch for with what the other files hold."""

    def __init__(self, log: CommitLog, tables: Tables, chunks: Chunks, segments: Segments) -> None:
        self._log = log
        self._tables = tables
        self._chunks = chunks
        self._segments = segments

    def limit(self) -> Limit | None:
        """Where reading must stop, and the first reason for it; None if all can be read."""
        records = self._log.records
        limits = [
            *self._commit_limits(),
            *self._table_limits(records),
            *self._event_limits(records),
            *_row_limits(records),
            *self._segment_limits(records),
        ]
        return min(limits, key=lambda limit: limit.steps, default=None)

    def _commit_limits(self) -> Iterator[Limit]:
        have, ending = len(self._log.records), self._tables.ending
        if self._log.damage:
            yield Limit(have, self._log.damage)
        elif ending and have < ending.steps:
            yield Limit(have, f"{ending.steps - have:,} more steps are missing from {layout.STEPS}")

    def _table_limits(self, records: Records) -> Iterator[Limit]:
        counts = {
            layout.INTERNED: ("interned", self._tables.definitions.count),
            layout.PARAMETERS: ("parameters", len(self._tables.parameters)),
            layout.OPTIMIZERS: ("optimizers", len(self._tables.optimizers)),
        }
        for name, (column, count) in counts.items():
            beyond = records[column] > count
            if beyond.any():
                yield Limit(_first(beyond), self._tables.damage_of(name))

    def _event_limits(self, records: Records) -> Iterator[Limit]:
        for block in np.unique(records["block"]).tolist():
            if block < 0 or block in self._tables.dropped.blocks:
                continue
            room = self._chunks.size(block) - records["events_length"].astype(np.int64)
            outside = (records["events_at"] < 0) | (records["events_at"] > room)
            beyond = (records["block"] == block) & outside
            if beyond.any():
                yield Limit(_first(beyond), f"{layout.events_file(block)} is missing or ends too early")

    def _segment_limits(self, records: Records) -> Iterator[Limit]:
        for segment, committed in committed_by_segment(records).items():
            reach, reason = self._segment_reach(segment, committed)
            if reason:
                beyond = (records["segment"] == segment) & (records["row"] >= reach)
                yield Limit(_first(beyond), reason)

    def _segment_reach(self, segment: int, committed: Committed) -> tuple[int, str]:
        """Rows of a segment that can be read, and why no more; no reason if all committed ones can."""
        try:
            reach = self._segments.ask(segment, lambda part: part.reach)
        except Damaged as error:
            return 0, str(error)
        if reach > committed.rows.max():
            return reach, ""
        return reach, f"segment {segment} of the statistics ends after {reach:,} rows"


def _row_limits(records: Records) -> Iterator[Limit]:
    """Each row lies behind the one before; all that reads rows relies on it."""
    places = np.flatnonzero(records["segment"] >= 0)
    segments, rows = (records[name][places].astype(np.int64) for name in ("segment", "row"))
    by_segment = np.diff(segments)
    wrong = rows < 0
    wrong[1:] |= (by_segment < 0) | ((by_segment == 0) & (np.diff(rows) <= 0))
    if wrong.any():
        yield Limit(int(places[_first(wrong)]), "the rows of statistics are out of order")


def _first(mask: npt.NDArray[np.bool_]) -> int:
    return int(np.argmax(mask))
