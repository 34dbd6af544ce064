"""Bits between the numbers of each module and the ends of their dtype, over all measured steps."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from graddebug.errors import TraceError
from graddebug.graph import BackwardGraph, GraphNode
from graddebug.records import MODULE_STATISTICS, NODE_STATISTICS, ModuleTable, NodeTable, Site
from graddebug.views.census import op_name, short
from graddebug.views.columns import Column
from graddebug.views.figures import number, share
from graddebug.views.half import LARGEST, bits_word, headroom_bits, share_word
from graddebug.views.line import Line, Span, Tone, dim, line, strong
from graddebug.views.printable import fit_middle, printable
from graddebug.views.quote import place
from graddebug.views.run import mean_stretches
from graddebug.views.sparkline import sparkline

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording

_HEADROOM, _BAD = MODULE_STATISTICS.index("headroom"), MODULE_STATISTICS.index("nonfinite")
_NORM, _ABSMAX, _ZEROS, _SUBNORMAL = (
    NODE_STATISTICS.index(name) for name in ("norm_out", "absmax_out", "zero_share", "subnormal_share")
)

HEADROOM_COLUMNS = (
    Column("module", "module", 16, grow=3, most=60),
    Column("dtype", "type", 8, rank=3),
    Column("outputs", "outputs", 9, right=True),
    Column("gradients", "gradients", 9, right=True),
    Column("zeros", "zeros", 6, right=True, rank=4),
    Column("subnormal", "subnormal", 9, right=True, rank=1),
    Column("trend", "outputs over the run", 20, grow=2, most=80, rank=5),
)


@dataclass(frozen=True, slots=True)
class Extreme:
    """A worst value, and the step it was measured in; NaN and -1 where it was not."""

    value: float = math.nan
    step: int = -1


@dataclass(slots=True)
class HeadroomRow:
    """A module's numbers in one half-precision dtype.

    ``outputs`` and ``gradients`` are the fewest bits below the maximum, ``zeros`` and ``subnormal`` the
    largest shares among gradients. ``op`` and ``site`` are the node with the largest gradient. ``bad`` is
    the first step with a non-finite output or gradient. ``course`` holds the outputs' headroom by step.
    """

    module: str
    dtype: str
    outputs: Extreme = Extreme()
    gradients: Extreme = Extreme()
    absmax: float = math.nan
    zeros: Extreme = Extreme()
    subnormal: Extreme = Extreme()
    bad: int | None = None
    op: str = ""
    site: Site | None = None
    course: list[tuple[int, float]] = field(default_factory=list)

    @property
    def least(self) -> float:
        """The fewer of both headrooms; inf where neither was measured."""
        if self.bad is not None:
            return -math.inf
        known = (bits for bits in (self.outputs.value, self.gradients.value) if not math.isnan(bits))
        return min(known, default=math.inf)


@dataclass(frozen=True, slots=True)
class Headroom:
    """The rows, worst first; of how many steps modules and backwards were measured; unreadable tables.

    ``left_out`` counts the measured backwards of steps that a scaler skipped.
    """

    rows: tuple[HeadroomRow, ...] = ()
    module_steps: int = 0
    node_steps: int = 0
    unreadable: int = 0
    left_out: int = 0


def headroom(recording: Recording, *, skipped: Collection[int] = ()) -> Headroom:
    """All that was measured of modules and nodes in half precision.

    Gradients of steps that a scaler ``skipped`` are left out: they overflow by definition, and that is how
    a scaler finds its scale.
    """
    rows: dict[tuple[str, str], HeadroomRow] = {}
    steps = [step for step in recording.node_steps() if step not in skipped]
    damaged = _modules(recording, rows) + _nodes(recording, steps, rows)
    found = sorted(rows.values(), key=lambda row: (row.least, -_zero_if_nan(row.subnormal.value), row.module))
    return Headroom(
        tuple(found),
        module_steps=len(recording.module_steps()),
        node_steps=len(steps),
        unreadable=damaged,
        left_out=len(recording.node_steps()) - len(steps),
    )


def _row(rows: dict[tuple[str, str], HeadroomRow], module: str, dtype: str) -> HeadroomRow:
    return rows.setdefault((module, dtype), HeadroomRow(module, dtype))


# --- outputs of modules ---------------------------------------------------------------------


def _modules(recording: Recording, rows: dict[tuple[str, str], HeadroomRow]) -> int:
    damaged = 0
    for step in recording.module_steps():
        try:
            table = recording.modules(step)
        except TraceError:
            damaged += 1
            continue
        if table is not None:
            _add_modules(rows, table)
    return damaged


def _add_modules(rows: dict[tuple[str, str], HeadroomRow], table: ModuleTable) -> None:
    for name, dtype, values in zip(table.modules, table.dtypes, table.values.tolist(), strict=True):
        bits, bad = values[_HEADROOM], values[_BAD] > 0
        if math.isnan(bits) and not bad:
            continue
        row = _row(rows, name, short(dtype))
        row.outputs = _lower(row.outputs, bits, table.step)
        row.course.append((table.step, bits))
        row.bad = table.step if bad and row.bad is None else row.bad


# --- gradients of nodes ---------------------------------------------------------------------


def _nodes(recording: Recording, steps: Sequence[int], rows: dict[tuple[str, str], HeadroomRow]) -> int:
    damaged = 0
    worst: dict[str, _Worst] = {}
    for step in steps:
        try:
            for table in recording.nodes(step):
                worst.setdefault(table.graph, _Worst()).add(table)
        except TraceError:
            damaged += 1
    for digest, found in worst.items():
        try:
            found.tell(recording.graph(digest), rows)
        except (KeyError, TraceError):
            damaged += 1
    return damaged


class _Worst:
    """The largest numbers of each node of one graph, and the steps they were in."""

    def __init__(self) -> None:
        self._values = np.empty((0, 3), dtype=np.float32)
        self._steps = np.empty((0, 3), dtype=np.int64)
        self._bad = np.empty(0, dtype=np.int64)

    def add(self, table: NodeTable) -> None:
        """Take in another table of the graph."""
        values = table.values[:, [_ABSMAX, _ZEROS, _SUBNORMAL]]
        if not len(self._values):
            self._values = np.full_like(values, np.nan)
            self._steps = np.full(values.shape, -1, dtype=np.int64)
            self._bad = np.full(len(values), -1, dtype=np.int64)
        if values.shape != self._values.shape:
            return
        larger = (values > self._values) | (np.isnan(self._values) & ~np.isnan(values))
        self._values = np.where(larger, values, self._values)
        self._steps[larger] = table.step
        self._bad[np.isinf(table.values[:, _NORM]) & (self._bad < 0)] = table.step

    def tell(self, graph: BackwardGraph, rows: dict[tuple[str, str], HeadroomRow]) -> None:
        """Put each node that sent half-precision gradients into its module's row."""
        known = ~np.isnan(self._values[:, 0])
        for index in np.flatnonzero(known[: len(graph.nodes)]).tolist():
            self._tell(graph, graph.nodes[index], rows)

    def _tell(self, graph: BackwardGraph, node: GraphNode, rows: dict[tuple[str, str], HeadroomRow]) -> None:
        dtype = sent_dtype(graph, node)
        if not dtype:
            return
        row = _row(rows, node.module, dtype)
        (absmax, zeros, subnormal), steps = (
            self._values[node.index].tolist(),
            self._steps[node.index].tolist(),
        )
        bits = headroom_bits(absmax, dtype)
        if _lower(row.gradients, bits, steps[0]) != row.gradients:
            row.gradients, row.absmax = Extreme(bits, steps[0]), absmax
            row.op, row.site = op_name(node.op), graph.site_of(node)
        row.zeros = _higher(row.zeros, zeros, steps[1])
        row.subnormal = _higher(row.subnormal, subnormal, steps[2])
        if (bad := int(self._bad[node.index])) >= 0:
            row.bad = bad if row.bad is None else min(row.bad, bad)


def sent_dtype(graph: BackwardGraph, node: GraphNode) -> str:
    """The half-precision dtype among the gradients that a node sends on; empty if there is none."""
    for child, slot in node.next:
        dtypes = graph.nodes[child].dtypes
        if 0 <= slot < len(dtypes) and short(dtypes[slot]) in LARGEST:
            return short(dtypes[slot])
    return ""


def _lower(before: Extreme, value: float, step: int) -> Extreme:
    return Extreme(value, step) if value < before.value or math.isnan(before.value) else before


def _higher(before: Extreme, value: float, step: int) -> Extreme:
    return Extreme(value, step) if value > before.value or math.isnan(before.value) else before


def _zero_if_nan(value: float) -> float:
    return 0.0 if math.isnan(value) else value


# --- in words -------------------------------------------------------------------------------


def headroom_cells(row: HeadroomRow, *, name_width: int, trend_width: int) -> list[Line]:
    """A row's cells, by `HEADROOM_COLUMNS`."""
    mark = Span("✖ ", Tone.ERROR) if row.bad is not None else Span("  ")
    return [
        (mark, Span(fit_middle(printable(row.module) or "(no module)", name_width - 2))),
        (dim(row.dtype),),
        (bits_word(row.outputs.value),),
        (bits_word(row.gradients.value),),
        (dim(share(row.zeros.value)),),  # a ReLU makes zeros: a share of them is nothing to warn of
        (share_word(row.subnormal.value),),
        course_line(row, width=trend_width),
    ]


def course_line(row: HeadroomRow, *, width: int) -> Line:
    """The outputs' headroom over the measured steps; overflow is marked."""
    if not row.course or width < 4:
        return ()
    steps, bits = (np.array(column, dtype=np.float64) for column in zip(*row.course, strict=True))
    # All zero (inf) has no height worth a mark; overflow (below zero) has.
    shown = np.where(bits < 0, np.inf, np.where(np.isinf(bits), np.nan, bits))
    _, means = mean_stretches(steps, shown, points=width)
    return (Span(sparkline(means), Tone.ERROR if np.isinf(means).any() else Tone.ACCENT),)


def headroom_lines(row: HeadroomRow) -> Iterator[Line]:
    """A row in full: each worst value, its step and its place."""
    yield line(strong(printable(row.module) or "(no module)"), dim(f"  {row.dtype}"))
    if row.bad is not None:
        yield line(Span(f"✖ NaN or inf first in step {row.bad}", Tone.ERROR))
    if row.course:
        _, bits = zip(*row.course, strict=True)
        step = row.course[-1][0]
        last = f", {bits_word(float(bits[-1])).text} in step {step}" if step != row.outputs.step else ""
        at = dim(f" in step {row.outputs.step}{last}")
        yield line(dim("outputs    "), bits_word(row.outputs.value), at)
    if not math.isnan(row.gradients.value):
        where = f": {row.op}" + (f", {place(row.site)}" if row.site else "")
        told = f", largest {number(row.absmax)} in step {row.gradients.step}{where}"
        yield line(dim("gradients  "), bits_word(row.gradients.value), dim(told))
    if row.zeros.value > 0:
        yield line(
            dim("zeros      "), share(row.zeros.value), dim(f" of a gradient in step {row.zeros.step}")
        )
    if row.subnormal.value > 0:
        at = dim(f" of a gradient in step {row.subnormal.step}")
        yield line(dim("subnormal  "), share_word(row.subnormal.value), at)
