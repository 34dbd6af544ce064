"""Stretches of steps with their statistics, as rules see them.

One call of numpy costs more than the arithmetic of one step: rules are therefore asked once for several
steps, and see the same stretches live and on replay.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from graddebug.records import STATISTICS, ParameterSet, StepRecord

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
    _typical: dict[str, Floats] = field(default_factory=dict, init=False)
    _totals: dict[ParameterSet, Floats] = field(default_factory=dict, init=False)

    def of(self, statistic: str) -> Table:
        """One statistic of every step and parameter: (steps, parameters)."""
        return self.table[:, :, _PLACE[statistic]]

    def typical(self, statistic: str) -> Floats:
        """The middle of one statistic over the steps that measured it: (parameters,) float64.

        The lower of two middle values; NaN where no step measured it.
        """
        if statistic not in self._typical:
            self._typical[statistic] = _middle(self.of(statistic)).astype(np.float64)
        return self._typical[statistic]

    def total_norms(self, params: ParameterSet) -> Floats:
        """The norm of these parameters' gradients together as each step consumed them: (steps,) float64.

        NaN where a step consumed none of them.
        """
        if params not in self._totals:
            norms = self._chosen("grad_norm", params)
            known = ~np.isnan(norms)
            total: Floats = np.sqrt(np.add.reduce(norms * norms, axis=1, where=known))
            total[~known.any(axis=1)] = np.nan
            self._totals[params] = total
        return self._totals[params]

    def total_update(self, params: ParameterSet) -> Floats:
        """How far each step moved these parameters together, as a share of their norm: (steps,) float64.

        NaN where that was not measured.
        """
        weights, ratios = self._chosen("weight_norm", params), self._chosen("update_ratio", params)
        with np.errstate(all="ignore"):
            moved = np.nansum((ratios * weights) ** 2, axis=1)
            share: Floats = np.sqrt(moved / np.nansum(weights**2, axis=1))
        share[np.isnan(ratios).all(axis=1)] = np.nan
        return share

    def _chosen(self, statistic: str, params: ParameterSet) -> Floats:
        column = self.of(statistic).astype(np.float64)
        return column if len(params) == column.shape[1] else column[:, params]


def _middle(column: Table) -> Table:
    ordered = np.sort(column, axis=0)  # NaN comes last
    if not np.isnan(ordered[-1]).any():
        whole: Table = ordered[(len(ordered) - 1) // 2]
        return whole
    known = np.count_nonzero(~np.isnan(ordered), axis=0)
    places = np.maximum(known - 1, 0) // 2
    chosen: Table = ordered[places, np.arange(column.shape[1])]
    return chosen


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
