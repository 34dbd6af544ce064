"""One step's events in order: who wrote gradients, who cleared them, who consumed them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.widget import Widget

from graddebug.records import Role
from graddebug.views.empty import empty_lines
from graddebug.views.figures import several
from graddebug.views.finding_words import finding_heading, quote_lines
from graddebug.views.life import LIFE_COLUMNS, Life, LifeRow, life, life_cells
from graddebug.views.line import Line, Span, Tone, dim
from graddebug.views.printable import printable
from graddebug.views.quote import quotes
from graddebug_tui.screens.view import View
from graddebug_tui.widgets.detail import Detail
from graddebug_tui.widgets.sheet import Rows, Sheet

NO_EVENTS = "nothing was recorded in this step"
#: Names listed in the detail pane.
MOST_NAMES = 40


class LifeScreen(View):
    """A line an event, and the event under the cursor with its source and its parameters."""

    KEY = "life"

    def __init__(self) -> None:
        super().__init__()
        self._life = Life(step=-1, rows=())

    def body(self) -> Iterator[Widget]:
        """Events and detail."""
        yield Sheet(LIFE_COLUMNS)
        yield Detail()

    def draw(self) -> None:
        """The events of the cursor's step."""
        step = self.cursor.step
        moved = step != self._life.step
        self._life = life(self.recording, step)
        rows = Rows(len(self._life.rows), self._paint)
        self.sheet.show(rows, cursor=self._first() if moved else None)
        self.query_one("#body").set_class(not self._life.rows, "-bare")
        self._tell()

    def on_sheet_moved(self) -> None:
        """Another event in full."""
        self._tell()

    def action_to_parameter(self) -> None:
        """To the first parameter the event touched."""
        params = self._life.rows[self.sheet.cursor].params if self._life.rows else ()
        if params and params[0] < len(self.recording.parameters):
            self.viewer.look_at_parameter(params[0])
        elif self._life.rows:
            self.notify("this event touched no parameter", markup=False)

    def _first(self) -> int:
        """The heaviest finding's last line in this step, or the top."""
        rows = enumerate(self._life.rows)
        marked = [(row.findings[0].severity, place) for place, row in rows if row.findings]
        return max(marked)[1] if marked else 0

    def _paint(self, row: int, _widths: dict[str, int]) -> Sequence[Line]:
        return life_cells(self._life.rows[row])

    def _tell(self) -> None:
        if not self._life.rows:
            self.detail.show([(dim(NO_EVENTS),)] if len(self.recording) else empty_lines(self.recording))
            return
        self.detail.show(self._event_lines(self._life.rows[self.sheet.cursor]))

    def _event_lines(self, row: LifeRow) -> Iterator[Line]:
        if not row.heads:
            yield (Span(row.word, row.tone), dim(f"  event {row.order} of the run"))
        yield row.words
        if row.site:
            role = "noticed before this line" if row.noticed else row.word
            for quote in quotes([Role(role, row.site)], beneath=self.recording.info.cwd):
                yield ()
                yield from quote_lines(quote, row.findings[0].tone if row.findings else Tone.ACCENT)
        for finding in row.findings:
            yield ()
            yield from finding_heading(finding)
        yield from self._unplaced()
        yield from self._parameters(row)

    def _unplaced(self) -> Iterator[Line]:
        for finding in self._life.unplaced:
            yield ()
            yield (dim("also in this step"),)
            yield from finding_heading(finding)

    def _parameters(self, row: LifeRow) -> Iterator[Line]:
        if not row.params:
            return
        known = self.recording.parameters
        yield ()
        yield (Span(several(len(row.params), "parameter"), Tone.ACCENT),)
        for index in row.params[:MOST_NAMES]:
            yield (Span("  " + printable(known[index].name if index < len(known) else f"parameter {index}")),)
        if len(row.params) > MOST_NAMES:
            yield (dim(f"  and {len(row.params) - MOST_NAMES:,} more"),)
