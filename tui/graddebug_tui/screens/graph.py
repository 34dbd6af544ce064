"""The step's backward graph, folded by module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from textual.widget import Widget

from graddebug.views.empty import empty_lines
from graddebug.views.figures import several, size
from graddebug.views.graph import (
    GRAPH_COLUMNS,
    NO_GRAPH,
    GraphRow,
    GraphTree,
    graph_cells,
    graph_tree,
    node_words,
)
from graddebug.views.line import Line, Span, dim, strong
from graddebug.views.printable import printable
from graddebug_tui.screens.view import View
from graddebug_tui.widgets.detail import Detail
from graddebug_tui.widgets.sheet import Rows, Sheet


class GraphScreen(View):
    """A tree that opens down to nodes, and the row under the cursor in full."""

    KEY = "graph"

    def __init__(self) -> None:
        super().__init__()
        self._tree: GraphTree | None = None
        self._step: int | None = None
        self._opened: set[str] | None = None
        self._shown: list[GraphRow] = []
        self._statistics = np.empty((0, 0), dtype=np.float32)

    def body(self) -> Iterator[Widget]:
        """Tree and detail."""
        yield Sheet(GRAPH_COLUMNS)
        yield Detail()

    def draw(self) -> None:
        """The graph of the cursor's step; what was open stays open."""
        step = self.cursor.step
        if step is None:
            self._tree = None
        else:
            self._tree = graph_tree(self.recording, step)
            self._statistics = self.recording.statistics(step)
        if self._tree and self._opened is None:
            self._opened = self._tree.first_open()
        self._arrange()

    def on_sheet_moved(self) -> None:
        """Another row in full."""
        self._tell()

    def on_sheet_chosen(self, message: Sheet.Chosen) -> None:
        """Open a module, or close it."""
        row = self._shown[message.row]
        if row.is_open is not None:
            self._open(row, is_open=not row.is_open)

    def action_unfold(self) -> None:
        """Open the module, or go to its first row."""
        row = self._row()
        if row and row.is_open is False:
            self._open(row, is_open=True)
        elif row and row.is_open:
            self.sheet.move("down")

    def action_fold(self) -> None:
        """Close the module, or go out to the one around it."""
        row = self._row()
        if row and row.is_open:
            self._open(row, is_open=False)
        elif row:
            self.sheet.cursor = self._around(self.sheet.cursor)

    def action_unfold_all(self) -> None:
        """Every module open, nodes in sight."""
        if self._tree:
            self._opened = {fold.name for _, fold in self._tree.root.walk()}
            self._arrange()

    def action_fold_all(self) -> None:
        """Back to what was open at first."""
        if self._tree:
            self._opened = self._tree.first_open()
            self._arrange(cursor=0)

    def _row(self) -> GraphRow | None:
        return self._shown[self.sheet.cursor] if self._shown else None

    def _around(self, place: int) -> int:
        depth = self._shown[place].depth
        outer = (above for above in range(place - 1, -1, -1) if self._shown[above].depth < depth)
        return next(outer, 0)

    def _open(self, row: GraphRow, *, is_open: bool) -> None:
        opened = self._opened or set()
        self._opened = opened | {row.key} if is_open else opened - {row.key}
        self._arrange()

    def _arrange(self, cursor: int | None = None) -> None:
        opened = self._opened or set()
        self._shown = self._tree.rows(opened=opened, statistics=self._statistics) if self._tree else []
        self.sheet.show(Rows(len(self._shown), self._paint), cursor=cursor)
        self.query_one("#body").set_class(not self._shown, "-bare")
        self._tell()

    def _paint(self, row: int, _widths: dict[str, int]) -> Sequence[Line]:
        return graph_cells(self._shown[row])

    def _tell(self) -> None:
        row = self._row()
        if self._tree is None or row is None:
            self.detail.show([(dim(NO_GRAPH),)] if len(self.recording) else empty_lines(self.recording))
            return
        self.detail.show(self._node_lines(row) if row.index is not None else self._module_lines(row))

    def _module_lines(self, row: GraphRow) -> Iterator[Line]:
        assert self._tree is not None
        graph = self._tree.graph
        yield (strong(printable(row.key) or "whole graph"),)
        yield (Span(several(row.nodes, "node")), dim("  saved for backward "), Span(row.saved or "nothing"))
        yield (Span(several(row.parameters, "parameter")), dim("  gradient norm "), row.grad_norm)
        if self._tree.health is not None:
            yield self._tree.health.words()
        yield (dim("ops  "), Span(row.about))
        yield (dim("ran  "), Span(self._tree.source or "(its backward is not known)"))
        total = f"{several(len(graph.nodes), 'node')}, {several(len(graph.roots), 'root')}"
        saved = f"{size(graph.saved_bytes)} saved"
        yield (dim(f"graph {printable(graph.hash[:12])}: {total}, {saved}"),)

    def _node_lines(self, row: GraphRow) -> Iterator[Line]:
        assert self._tree is not None
        assert row.index is not None
        node = self._tree.graph.nodes[row.index]
        yield (strong(row.name), dim(f"  node #{row.index}"))
        if self._tree.health is not None:
            yield from self._tree.health.lines(node.index)
        for label, text in node_words(node, self._tree.graph, self.recording.parameters):
            yield (dim(f"{label:<10}"), Span(text))
        if node.parameter is not None:
            yield (dim(f"{'grad norm':<10}"), row.grad_norm)
