"""The parameters of a run at one step: a table that sorts, filters, and holds 100,000 rows.

Work that is done for all rows is numpy's; names and numbers become text only for the rows that are
drawn.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from graddebug.records import STATISTICS, Finding, ParameterInfo, Severity
from graddebug.views.columns import Column
from graddebug.views.figures import measured, shape, share, whole
from graddebug.views.line import GLYPHS, TONES, Line, Span, Tone, dim
from graddebug.views.printable import fit_middle, printable
from graddebug.views.sparkline import BEYOND, LOG, axis, sparkline

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording

_PLACE = {name: place for place, name in enumerate(STATISTICS)}


@dataclass(frozen=True, slots=True)
class Figure:
    """A statistic as a column: its heading, how it is written, and what it means."""

    statistic: str
    title: str
    write: Callable[[float], str]
    meaning: str


#: Columns in order of importance: a narrow face drops them from the end.
FIGURES: tuple[Figure, ...] = (
    Figure("grad_norm", "grad norm", measured, "L2 norm, as consumed"),
    Figure("update_ratio", "update", measured, "sample: change / weights"),
    Figure("grad_nonfinite", "nonfin", whole, "NaN and inf, whole tensor"),
    Figure("weight_norm", "weights", measured, "L2 norm before the step"),
    Figure("grad_zero_share", "zeros", share, "sample: exact zeros"),
    Figure("changed_share", "changed", share, "sample: weights that moved"),
    Figure("grad_norm_written", "written", measured, "L2 norm before clipping"),
    Figure("grad_absmax", "abs max", measured, "sample: largest |gradient|"),
    Figure("grad_mean", "mean", measured, "sample: mean gradient"),
)

_NAME = Column("name", "  parameter", 30, grow=3, most=60)
_SHAPE = Column("shape", "shape", 9, grow=1, rank=4, most=16)
_TREND = Column("trend", "over the run", 14, grow=2, rank=1, most=48)
#: Order in which a narrow table drops figures: the later, the sooner.
_FIRST_RANK = 2


def parameter_columns(sort: str, *, descending: bool) -> tuple[Column, ...]:
    """The table's columns, with an arrow at the one it is sorted by."""
    figures = [
        Column(f.statistic, f.title, max(8, len(f.title) + 2), right=True, rank=_rank(place))
        for place, f in enumerate(FIGURES)
    ]
    arrow = " ↓" if descending else " ↑"
    ordered = (_NAME, _SHAPE, figures[0], _TREND, *figures[1:])
    return tuple(_titled(column, arrow) if _sorts(column) == sort else column for column in ordered)


def _rank(place: int) -> int:
    return 0 if place == 0 else _FIRST_RANK + place if place < 3 else _FIRST_RANK + place + 2


def _sorts(column: Column) -> str:
    return {"shape": "numel", "trend": ""}.get(column.key, column.key) or "-"


def _titled(column: Column, arrow: str) -> Column:
    return replace(column, title=column.title + arrow)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterRow:
    """One parameter at one step; ``figures`` follow `FIGURES`, written out, with their tones.

    ``mark`` is the severity of the heaviest finding that names it and spans the step.
    """

    index: int
    name: str
    shape: str
    dtype: str
    figures: tuple[Span, ...]
    mark: Severity | None = None


@dataclass(frozen=True)
class ParameterTable:
    """All parameters with their statistics at a step: (parameters, statistics) float32."""

    parameters: Sequence[ParameterInfo]
    statistics: np.ndarray
    marked: Mapping[str, Severity] = field(default_factory=dict)

    @cached_property
    def names(self) -> list[str]:
        """Lower-case names, tied names included, in the parameters' order."""
        return [" ".join((info.name, *info.also)).lower() for info in self.parameters]

    def rows(self, *, sort: str = "", descending: bool = True, matching: str = "") -> np.ndarray:
        """Indices (int64) of the parameters whose name matches, sorted by a statistic or ``"name"``.

        An empty ``sort`` keeps the order in which the run found them. What was not measured comes
        last in either direction; ties keep their order.
        """
        chosen = self.matching(matching)
        if sort == "name":
            chosen = np.array(sorted(chosen, key=lambda i: self.parameters[i].name), dtype=np.int64)
            return chosen[::-1] if descending else chosen
        if sort == "numel":
            return _sorted(chosen, np.array([self.parameters[i].numel for i in chosen]), descending)
        if sort:
            return _sorted(chosen, self._column(sort)[chosen], descending)
        return chosen

    def matching(self, pattern: str) -> np.ndarray:
        """Indices of the parameters that contain ``pattern``, or match it if it holds ``*`` or ``?``."""
        if not pattern:
            return np.arange(len(self.parameters), dtype=np.int64)
        found = name_filter(pattern)
        return np.array([i for i, name in enumerate(self.names) if found(name)], dtype=np.int64)

    def row(self, index: int) -> ParameterRow:
        """One parameter as text."""
        info = self.parameters[index]
        return ParameterRow(
            index=index,
            name=printable(info.name),
            shape=shape(info.shape),
            dtype=printable(info.dtype.removeprefix("torch.")),
            figures=tuple(self.figure(index, figure) for figure in FIGURES),
            mark=self.marked.get(info.name),
        )

    def value(self, index: int, statistic: str) -> float:
        """A statistic of a parameter; NaN where it was not measured."""
        return float(self.statistics[index, _PLACE[statistic]])

    def figure(self, index: int, figure: Figure) -> Span:
        """A figure of a parameter, written out: a NaN that stands in the gradient is said, not left out."""
        value = self.value(index, figure.statistic)
        if figure.statistic == "grad_nonfinite":
            return Span(figure.write(value), Tone.ERROR if value > 0 else Tone.DIM)
        if np.isnan(value):
            known = with_nonfinite(
                figure.statistic, np.array([value]), lambda other: np.array([self.value(index, other)])
            )
            return Span("·", Tone.DIM) if np.isnan(known[0]) else Span("nan", Tone.ERROR)
        return Span(figure.write(value), _tone(figure.statistic, value))

    def _column(self, statistic: str) -> np.ndarray:
        values = self.statistics[:, _PLACE[statistic]].astype(np.float64)
        known = with_nonfinite(statistic, values, lambda other: self.statistics[:, _PLACE[other]])
        return np.where(np.isnan(values), known, values)


def with_nonfinite(statistic: str, values: np.ndarray, ask: Callable[[str], np.ndarray]) -> np.ndarray:
    """``values`` with inf where the number itself was NaN or inf, and NaN only where none was measured.

    A recorded NaN is either; another statistic of the same places, which ``ask`` gives, tells which.
    """
    if statistic in _OF_GRADIENT:
        return np.where(ask("grad_nonfinite") > 0, np.inf, values)
    if statistic == "update_ratio":
        return np.where(np.isnan(values) & (ask("grad_nonfinite") > 0), np.inf, values)
    if statistic == "weight_norm":
        measured = ~np.isnan(ask("changed_share")) | ~np.isnan(ask("grad_nonfinite"))
        return np.where(np.isnan(values) & measured, np.inf, values)
    return values


_OF_GRADIENT = frozenset({"grad_norm", "grad_norm_written", "grad_absmax", "grad_mean"})


def _tone(statistic: str, value: float) -> Tone:
    if not np.isfinite(value):
        return Tone.ERROR
    dead = (statistic in {"grad_norm", "changed_share", "update_ratio"} and value == 0) or (
        statistic == "grad_zero_share" and value == 1
    )
    return Tone.WARNING if dead else Tone.PLAIN


def _sorted(chosen: np.ndarray, values: np.ndarray, descending: bool) -> np.ndarray:
    keys = -values if descending else values
    return chosen[np.argsort(keys, kind="stable")]  # argsort puts NaN last in either direction


def name_filter(pattern: str) -> Callable[[str], bool]:
    """Whether a lower-case name matches: a glob if it holds ``*`` or ``?``, else a part of the name.

    Brackets are plain characters: parameter names hold them.
    """
    pattern = pattern.lower()
    if "*" not in pattern and "?" not in pattern:
        return lambda name: pattern in name
    matches = re.compile(fnmatch.translate(pattern.replace("[", "[[]"))).match
    return lambda names: any(matches(name) for name in (names, *names.split(" ")))


def parameter_cells(row: ParameterRow, course: Line, *, name_width: int) -> list[Line]:
    """A parameter's cells, by `parameter_columns`; ``course`` is its sparkline."""
    figures: list[Line] = [(figure,) for figure in row.figures]
    mark = dim("  ") if row.mark is None else Span(f"{GLYPHS[row.mark]} ", TONES[row.mark])
    name = Span(fit_middle(row.name, name_width - 2))
    return [(mark, name), (dim(row.shape),), figures[0], course, *figures[1:]]


def parameter_table(recording: Recording, step: int | None) -> ParameterTable:
    """The table at ``step``; without a step every number is missing."""
    count = len(recording.parameters)
    missing = np.full((count, len(STATISTICS)), np.nan, dtype=np.float32)
    if step is None:
        return ParameterTable(recording.parameters, missing)
    measured_rows = recording.statistics(step)[:count]
    missing[: len(measured_rows)] = measured_rows
    return ParameterTable(recording.parameters, missing, _marked(recording.findings, step))


def _marked(findings: Sequence[Finding], step: int) -> dict[str, Severity]:
    here = [f for f in findings if f.first_step <= step <= f.last_step and f.acknowledged is None]
    here.sort(key=lambda finding: finding.severity)
    return {name: finding.severity for finding in here for name in finding.parameters}


def trend(
    recording: Recording, parameter: int, statistic: str, *, width: int, cursor: int | None = None
) -> Line:
    """A statistic over the whole run in ``width`` cells: blocks (the highest in each), then their axis.

    ``cursor``'s block is marked, and so is one in which the number was NaN or inf.
    """
    steps, values = course(recording, parameter, statistic, points=max(1, width - len(LOG)))
    return (*marked_sparkline(steps, values, cursor=cursor), dim(axis(values)))


def course(
    recording: Recording, parameter: int, statistic: str, *, points: int
) -> tuple[np.ndarray, np.ndarray]:
    """First step and highest value of at most ``points`` stretches; inf where any was NaN or inf."""
    steps, _, high = recording.overview(parameter, statistic, points)
    known = with_nonfinite(statistic, high, lambda other: recording.overview(parameter, other, points)[2])
    return steps, known


def marked_sparkline(steps: np.ndarray, values: np.ndarray, *, cursor: int | None) -> Line:
    """``values`` as blocks with the last one that begins at or before step ``cursor`` in another tone.

    Marks of NaN and inf have the tone of an error.
    """
    blocks = sparkline(values)
    if cursor is None or not blocks:
        return _toned(blocks)
    at = max(0, int(np.searchsorted(steps, cursor, side="right")) - 1)
    here = blocks[at].replace(" ", "·")
    tone = Tone.ERROR if here == BEYOND else Tone.STRONG
    return (*_toned(blocks[:at]), Span(here, tone), *_toned(blocks[at + 1 :]))


def _toned(blocks: str) -> Line:
    tones = {True: Tone.ERROR, False: Tone.ACCENT}
    runs = groupby(blocks, key=lambda block: block == BEYOND)
    return tuple(Span("".join(same), tones[beyond]) for beyond, same in runs)
