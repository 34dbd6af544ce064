"""A pane that says all about the row under the cursor."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from graddebug.views.finding_words import cut_source
from graddebug.views.line import Line, Span, plain
from graddebug_tui.tones import joined

#: Source lines and charts hold one of these; they are cut at the edge, sentences wrap.
_NEVER_WRAPPED = "│▁▂▃▄▅▆▇█"


class Detail(VerticalScroll, can_focus=False):
    """Lines that wrap and scroll; the table beside it keeps the keys."""

    def compose(self) -> ComposeResult:
        """One block of text."""
        self._lines: tuple[Line, ...] = ()
        yield Static(markup=False)

    def show(self, lines: Iterable[Line]) -> None:
        """Show other lines, from their top."""
        self._lines = tuple(lines)
        self._draw()
        self.scroll_home(animate=False)

    def on_resize(self) -> None:
        """Cut to the new width."""
        self._draw()

    def _draw(self) -> None:
        width = self.scrollable_content_region.width
        self.query_one(Static).update(joined(_cut(spans, width) for spans in self._lines))


def _cut(spans: Line, width: int) -> Line:
    if width > 0 and any(mark in plain(spans) for mark in _NEVER_WRAPPED):
        return cut_source(spans, width)
    return spans or (Span(" "),)
