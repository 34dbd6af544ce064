"""One statistic of one parameter over all steps, put together from the segments."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from graddebug.trace import lod
from graddebug.trace.lod import Floats, Steps
from graddebug.trace.table import Buckets, Committed, Segment, Segments

Question = Callable[[Segment, Committed], Buckets]


class SeriesReader:
    """Reads series and overviews out of the committed rows of each segment."""

    def __init__(self, segments: Segments, committed: Mapping[int, Committed]) -> None:
        self._segments = segments
        self._committed = committed

    def series(self, parameter: int, statistic: int) -> tuple[Steps, Floats]:
        """Steps and values of all rows."""
        steps, values, _ = self._asked(parameter, lambda part, rows: part.series(parameter, statistic, rows))
        return steps, values

    def overview(self, parameter: int, statistic: int, points: int) -> tuple[Steps, Floats, Floats]:
        """First step, lowest and highest value of at most ``points`` buckets."""
        bucket = sum(len(committed.rows) for committed in self._committed.values()) / points
        found = self._asked(
            parameter, lambda part, rows: part.buckets(parameter, statistic, rows, bucket=bucket)
        )
        return lod.fold(*found, points=points)

    def _asked(self, parameter: int, question: Question) -> tuple[Steps, Floats, Floats]:
        parts = [
            self._part(index, committed, parameter, question) for index, committed in self._committed.items()
        ]
        if not parts:
            nothing = np.empty(0, dtype=np.float32)
            return np.empty(0, dtype=np.int64), nothing, nothing
        steps, low, high = (np.concatenate(column) for column in zip(*parts, strict=True))
        return steps, low, high

    def _part(
        self, index: int, committed: Committed, parameter: int, question: Question
    ) -> tuple[Steps, Floats, Floats]:
        def ask(part: Segment) -> Buckets:
            if parameter < part.width:
                return question(part, committed)
            unknown = np.full(len(committed.rows), np.nan, dtype=np.float32)
            return Buckets(committed.rows, unknown, unknown)

        found = self._segments.ask(index, ask)
        places = np.searchsorted(committed.rows, found.rows)
        inside = places < len(committed.rows)  # a sealed segment may hold more rows than can be read
        return committed.steps[places[inside]], found.low[inside], found.high[inside]
