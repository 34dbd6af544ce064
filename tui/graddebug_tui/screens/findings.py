"""What is wrong, by weight, and at which line."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from textual.widget import Widget

from graddebug.errors import TraceError
from graddebug.records import Event, NotObservable
from graddebug.views.empty import empty_lines
from graddebug.views.finding_words import finding_lines
from graddebug.views.findings import (
    FINDING_COLUMNS,
    NO_FINDINGS,
    finding_cells,
    finding_detail,
    fold_cells,
    fold_lines,
    folded_rows,
)
from graddebug.views.line import Line, Span, Tone
from graddebug.views.printable import printable
from graddebug.views.unseen import unseen, unseen_lines
from graddebug_tui.screens.view import View
from graddebug_tui.widgets.detail import Detail
from graddebug_tui.widgets.sheet import Rows, Sheet

_EVENTS_AT_ONCE = 500


class FindingsScreen(View):
    """A list by severity, and the finding under the cursor in full."""

    KEY = "findings"

    def __init__(self) -> None:
        super().__init__()
        self._unseen: list[str] = []
        self._folded = True

    def body(self) -> Iterator[Widget]:
        """List and detail."""
        yield Sheet(FINDING_COLUMNS)
        yield Detail()

    def on_mount(self) -> None:
        """Draw what is known at once; what was not observable takes a pass over all events."""
        super().on_mount()
        self.run_worker(self._look_for_unseen())

    async def _look_for_unseen(self) -> None:
        found: list[Event] = []
        try:
            for place, event in enumerate(self.recording.events()):
                found += [event] if isinstance(event, NotObservable) else []
                if place % _EVENTS_AT_ONCE == 0:
                    await asyncio.sleep(0)  # keys first
        except TraceError as error:
            self.notify(printable(str(error)), title="cannot be read", severity="error", markup=False)
        self._unseen = unseen(found)
        if self.viewer.learned_of_damage():
            self.redraw()
        elif self._unseen:
            self._tell()

    def draw(self) -> None:
        """Findings are the whole run's: only what the recording holds decides."""
        self._by_id = {finding.id: finding for finding in self.recording.findings}
        self._known = sum(one.acknowledged is not None for one in self._by_id.values())
        self._shown = folded_rows(self._by_id.values(), folded=self._folded)
        self.sheet.show(Rows(len(self._shown), self._paint))
        self.query_one("#body").set_class(not self._shown, "-bare")
        self._tell()

    def on_sheet_moved(self) -> None:
        """Another finding in full."""
        self._tell()

    def on_sheet_chosen(self, message: Sheet.Chosen) -> None:
        """Go to the step a finding began in, and look at its life; or show and fold the acknowledged ones."""
        chosen = self._shown[message.row]
        if chosen is None:
            self._folded = not self._folded
            self.draw()
            return
        self.viewer.go_to(chosen.first_step)
        self.viewer.action_show("life")

    def action_to_parameter(self) -> None:
        """To the first parameter the finding names, at a step in which it holds."""
        chosen = self._shown[self.sheet.cursor] if self._shown else None
        if chosen is None:
            return
        finding = self._by_id[chosen.id]
        places = {info.name: info.index for info in self.recording.parameters}
        named = next((places[name] for name in finding.parameters if name in places), None)
        if named is None:
            self.notify("this finding names no parameter", markup=False)
            return
        step = self.cursor.step
        if step is not None and not finding.first_step <= step <= finding.last_step:
            self.viewer.go_to(finding.first_step)
        self.viewer.look_at_parameter(named)

    def _paint(self, row: int, _widths: dict[str, int]) -> Sequence[Line]:
        shown = self._shown[row]
        return fold_cells(self._known, folded=self._folded) if shown is None else finding_cells(shown)

    def _tell(self) -> None:
        if not self._shown:
            self.detail.show([*self._nothing(), *unseen_lines(self._unseen)])
            return
        row = self._shown[self.sheet.cursor]
        if row is None:
            fold = fold_lines(self._known, folded=self._folded)
            self.detail.show([*fold, *unseen_lines(self._unseen)])
            return
        detail = finding_detail(self._by_id[row.id], beneath=self.recording.info.cwd)
        self.detail.show([*finding_lines(detail), *unseen_lines(self._unseen)])

    def _nothing(self) -> Iterator[Line]:
        if len(self.recording):
            yield (Span("✔ ", Tone.GOOD), Span(NO_FINDINGS))
        else:
            yield from empty_lines(self.recording)
