"""The gradients that the nodes of a step's backward passed on, where that backward was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graddebug.errors import TraceError
from graddebug.graph import BackwardGraph
from graddebug.records import NODE_STATISTICS, NodeTable, Severity
from graddebug.views.figures import measured, number, several, share
from graddebug.views.line import GLYPHS, Line, Span, Tone, dim, line
from graddebug.views.sparkline import BLOCKS

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording

_IN, _OUT, _ABSMAX, _ZEROS, _SUBNORMAL = range(len(NODE_STATISTICS))
BAD = "nan or inf"
_GLYPH = GLYPHS[Severity.ERROR]


@dataclass(frozen=True)
class GraphHealth:
    """What a measured backward of a graph sent from node to node; a row of ``table.values`` a node.

    ``bad`` are the nodes that sent on NaN or inf.
    """

    table: NodeTable
    low: float
    high: float
    bad: frozenset[int]

    def heat(self, nodes: Sequence[int]) -> Span:
        """A block by the logarithm of the largest norm that these nodes sent on; `_GLYPH` for NaN or inf."""
        if not self.bad.isdisjoint(nodes):
            return Span(_GLYPH, Tone.ERROR)
        norm = self._largest(nodes)
        return Span("" if math.isnan(norm) else self._block(norm), Tone.ACCENT)

    def _block(self, norm: float) -> str:
        if norm <= 0:
            return BLOCKS[0]
        if self.high <= self.low:
            return BLOCKS[len(BLOCKS) // 2]
        height = math.log(norm / self.low) / math.log(self.high / self.low)
        return BLOCKS[max(0, min(int(height * len(BLOCKS)), len(BLOCKS) - 1))]

    def sent(self, nodes: Sequence[int]) -> Span:
        """The largest norm of what these nodes sent on, or that it was NaN or inf."""
        if not self.bad.isdisjoint(nodes):
            return Span(BAD, Tone.ERROR)
        norm = self._largest(nodes)
        tone = Tone.DIM if math.isnan(norm) else Tone.WARNING if norm == 0 else Tone.PLAIN
        return Span(measured(norm), tone)

    def _largest(self, nodes: Sequence[int]) -> float:
        norms = self.table.values[[node for node in nodes if node < len(self.table.values)], _OUT]
        finite = norms[np.isfinite(norms)]
        return float(finite.max()) if finite.size else math.nan

    def lines(self, node: int) -> Iterator[Line]:
        """What came into a node and what it sent on."""
        came, sent = self._value(node, _IN), self.sent([node])
        if math.isnan(came) and node not in self.bad and sent.tone is Tone.DIM:
            return
        before = Span(BAD, Tone.ERROR) if math.isinf(came) else Span(measured(came))
        born = "  NaN or inf begins here" if node in self.bad and math.isfinite(came) else ""
        yield line(dim(f"{'came in':<10}"), before, self._scaled())
        yield line(dim(f"{'sent on':<10}"), sent, Span(born, Tone.ERROR))
        absmax = self._value(node, _ABSMAX)
        if not math.isnan(absmax):
            zeros, subnormal = share(self._value(node, _ZEROS)), share(self._value(node, _SUBNORMAL))
            words = f"largest {number(absmax)}  zeros {zeros}  subnormal {subnormal}"
            yield line(dim(f"{'half':<10}"), words)

    def words(self) -> Line:
        """How many nodes were measured, and how many sent on NaN or inf."""
        count = int(np.isfinite(self.table.values[:, _OUT]).sum()) + len(self.bad)
        bad = f", {several(len(self.bad), 'node')} sent on NaN or inf" if self.bad else ""
        counted = dim(f"gradients of {several(count, 'node')} measured")
        return line(counted, Span(bad, Tone.ERROR), self._scaled())

    def _scaled(self) -> Span:
        return dim("" if self.table.scale == 1 else f"  (scaled by {number(self.table.scale)})")

    def _value(self, node: int, column: int) -> float:
        return float(self.table.values[node, column]) if node < len(self.table.values) else math.nan


def graph_health(recording: Recording, step: int, graph: BackwardGraph) -> GraphHealth | None:
    """The last measured backward of ``step`` that ran the graph; None if there is none, or it is damaged."""
    try:
        tables = [table for table in recording.nodes(step) if table.graph == graph.hash]
    except TraceError:
        return None
    if not tables:
        return None
    return _health(tables[-1])


def _health(table: NodeTable) -> GraphHealth:
    sent = table.values[:, _OUT]
    known = sent[np.isfinite(sent) & (sent > 0)]
    bad = frozenset(np.flatnonzero(np.isinf(sent)).tolist())
    low, high = (float(known.min()), float(known.max())) if known.size else (1.0, 1.0)
    return GraphHealth(table, low, high, bad)
