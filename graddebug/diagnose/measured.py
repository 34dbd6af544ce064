"""Stretches of steps with their statistics, as rules see them.

One call of numpy costs more than the arithmetic of one step: rules are therefore asked once for several
steps, and see the same stretches live and on replay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graddebug.records import STATISTICS, StepRecord

Floats = npt.NDArray[np.float64]
Table = npt.NDArray[np.float32]

#: Steps in a stretch: few enough that a finding comes soon, many enough that their cost is shared.
STRETCH = 10

_PLACE = {name: place for place, name in enumerate(STATISTICS)}


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A stretch of consecutive measured steps: their numbers, losses and tables, oldest first.

    ``steps`` is (steps,) int64, ``losses`` (steps,) float64 with NaN where none was seen, ``table``
    (steps, parameters, `STATISTICS`) float32 with NaN where a number was not measured.
    """

    steps: npt.NDArray[np.int64]
    losses: Floats
    table: Table

    def of(self, statistic: str) -> Table:
        """One statistic of every step and parameter: (steps, parameters)."""
        return self.table[:, :, _PLACE[statistic]]


class Stretches:
    """Gathers steps until a stretch is full; a model that grows begins a new one."""

    def __init__(self) -> None:
        self._records: list[StepRecord] = []
        self._tables: list[Table] = []

    def add(self, record: StepRecord, table: Table) -> list[Measured]:
        """The stretches that are complete with this step: mostly none."""
        done = self.rest() if self._tables and len(self._tables[0]) != len(table) else []
        self._records.append(record)
        self._tables.append(table)
        return done + self.rest() if len(self._tables) == STRETCH else done

    def rest(self) -> list[Measured]:
        """What has been gathered so far, as a stretch that may be shorter; none if nothing has."""
        records, self._records = self._records, []
        tables, self._tables = self._tables, []
        if not tables:
            return []
        losses = [np.nan if record.loss is None else record.loss for record in records]
        steps = np.array([record.step for record in records], dtype=np.int64)
        return [Measured(steps, np.array(losses, dtype=np.float64), np.stack(tables))]
