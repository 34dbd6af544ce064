"""What is wrong, by weight, and at which line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.widget import Widget

from graddebug.views.finding_words import finding_lines
from graddebug.views.findings import (
    FINDING_COLUMNS,
    NO_FINDINGS,
    finding_cells,
    finding_detail,
    finding_rows,
)
from graddebug.views.line import Line, Span, Tone
from graddebug.views.run import EMPTY
from graddebug_tui.screens.view import View
from graddebug_tui.widgets.detail import Detail
from graddebug_tui.widgets.sheet import Rows, Sheet


class FindingsScreen(View):
    """A list by severity, and the finding under the cursor in full."""

    KEY = "findings"

    def body(self) -> Iterator[Widget]:
        """List and detail."""
        yield Sheet(FINDING_COLUMNS)
        yield Detail()

    def draw(self) -> None:
        """Findings are the whole run's: only what the recording holds decides."""
        self._by_id = {finding.id: finding for finding in self.recording.findings}
        self._shown = finding_rows(self.recording.findings)
        self.sheet.show(Rows(len(self._shown), self._paint))
        self.query_one("#body").set_class(not self._shown, "-bare")
        self._tell()

    def on_sheet_moved(self) -> None:
        """Another finding in full."""
        self._tell()

    def on_sheet_chosen(self, message: Sheet.Chosen) -> None:
        """Go to the step a finding began in, and look at its life."""
        self.viewer.go_to(self._shown[message.row].first_step)
        self.viewer.action_show("life")

    def _paint(self, row: int, _widths: dict[str, int]) -> Sequence[Line]:
        return finding_cells(self._shown[row])

    def _tell(self) -> None:
        if not self._shown:
            said = NO_FINDINGS if len(self.recording) else EMPTY
            self.detail.show([(Span("✔ " if len(self.recording) else "● ", Tone.GOOD), Span(said))])
            return
        row = self._shown[self.sheet.cursor]
        detail = finding_detail(self._by_id[row.id], beneath=self.recording.info.cwd)
        self.detail.show(finding_lines(detail))
