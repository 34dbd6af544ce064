"""Every parameter's numbers at the step cursor, with its course over the whole run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from textual import on
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Static

from graddebug.views.empty import empty_lines
from graddebug.views.figures import several
from graddebug.views.line import Line, Span, Tone, dim, strong
from graddebug.views.parameters import (
    FIGURES,
    Figure,
    ParameterTable,
    parameter_cells,
    parameter_columns,
    parameter_table,
    trend,
)
from graddebug.views.printable import printable
from graddebug_tui.screens.view import View
from graddebug_tui.tones import content
from graddebug_tui.widgets.detail import Detail
from graddebug_tui.widgets.prompt import Prompt
from graddebug_tui.widgets.sheet import Rows, Sheet

NO_PARAMETERS = "no parameter was seen in this run"
#: Said where a tensor is larger than its sample (see `graddebug.records.STATISTICS`).
SAMPLE = 1024
SAMPLED = f"  sample: up to {SAMPLE:,} elements"


class ParametersScreen(View):
    """A table that sorts and filters, and the courses of the parameter under the cursor."""

    KEY = "parameters"

    def __init__(self) -> None:
        super().__init__()
        self._sort, self._descending, self._matching = "", True, ""
        self._table = ParameterTable([], np.empty((0, 0), dtype=np.float32))
        self._order = np.empty(0, dtype=np.int64)

    def body(self) -> Iterator[Widget]:
        """Filter and count, table, courses."""
        yield Horizontal(Static(id="tally"), Prompt("filter", placeholder="text, or * and ?"), id="above")
        yield Sheet(parameter_columns("", descending=True))
        yield Detail()

    def draw(self) -> None:
        """The table at the cursor's step; the row under the cursor stays the same parameter."""
        kept = self._asked_for()
        self._table = parameter_table(self.recording, self.cursor.step)
        self._arrange(kept)

    def _asked_for(self) -> int | None:
        """The parameter another screen asked for, which no filter hides, or the one under the cursor."""
        wanted, self.viewer.wanted_parameter = self.viewer.wanted_parameter, None
        if wanted is None:
            return self._chosen()
        self.query_one("#filter", Prompt).display = False
        self._matching = ""
        return wanted

    def on_sheet_moved(self) -> None:
        """Another parameter's courses."""
        self._tell()

    def on_sheet_heading_clicked(self, message: Sheet.HeadingClicked) -> None:
        """Sort by a heading; again to reverse."""
        key = {"shape": "numel", "trend": "grad_norm"}.get(message.key, message.key)
        self._descending = not self._descending if key == self._sort else key != "name"
        self._sort = key
        self._arrange(self._chosen())

    def action_ask_filter(self) -> None:
        """Type a filter."""
        self.query_one("#filter", Prompt).open(self._matching)

    @on(Prompt.Changed, "#filter")
    def filter_while_typing(self, message: Prompt.Changed) -> None:
        """Filter while typing."""
        self._filter(message.value)

    @on(Prompt.Submitted, "#filter")
    def filter_kept(self, message: Prompt.Submitted) -> None:
        """Keep the filter and give the keys back to the table."""
        self._filter(message.value)
        message.input.display = bool(message.value)
        self.sheet.focus()

    def action_clear_filter(self) -> None:
        """All parameters again."""
        self.query_one("#filter", Prompt).display = False
        self._filter("")

    def action_sort_next(self) -> None:
        """Sort by the next column, largest first; after the last, in the run's own order."""
        keys = ["", "name", "numel", *(figure.statistic for figure in FIGURES)]
        self._sort = keys[(keys.index(self._sort) + 1) % len(keys)]
        self._descending = self._sort != "name"
        self._arrange(self._chosen())

    def action_sort_reverse(self) -> None:
        """Smallest first, or largest first again."""
        self._descending = not self._descending
        self._arrange(self._chosen())

    def _filter(self, matching: str) -> None:
        if matching != self._matching:
            kept = self._chosen()
            self._matching = matching
            self._arrange(kept)

    def _chosen(self) -> int | None:
        return int(self._order[self.sheet.cursor]) if len(self._order) else None

    def _arrange(self, kept: int | None) -> None:
        self._order = self._table.rows(sort=self._sort, descending=self._descending, matching=self._matching)
        found = np.flatnonzero(self._order == kept) if kept is not None else np.empty(0)
        self.sheet.show(
            Rows(len(self._order), self._paint),
            cursor=int(found[0]) if found.size else 0,
            columns=parameter_columns(self._sort, descending=self._descending),
        )
        self.query_one("#tally", Static).update(content(self._tally()))
        self._tell()

    def _tally(self) -> Line:
        total = len(self._table.parameters)
        if not total:
            return (dim(NO_PARAMETERS),)
        if not self._matching:
            return (Span(several(total, "parameter")),)
        found = len(self._order)
        tone = Tone.PLAIN if found else Tone.WARNING
        return (Span(f"{found:,} of {several(total, 'parameter')} match ", tone), dim("(Esc clears)"))

    def _paint(self, row: int, widths: dict[str, int]) -> Sequence[Line]:
        index = int(self._order[row])
        course = self._trend(index, "grad_norm", widths.get("trend", 0))
        return parameter_cells(self._table.row(index), course, name_width=widths["name"])

    def _trend(self, index: int, statistic: str, width: int) -> Line:
        if not width or not len(self.recording):
            return ()
        return trend(self.recording, index, statistic, width=width, cursor=self.cursor.step)

    def _tell(self) -> None:
        index = self._chosen()
        if not len(self.recording):
            self.detail.show(empty_lines(self.recording))
        else:
            self.detail.show(() if index is None else self._courses(index))

    def _courses(self, index: int) -> Iterator[Line]:
        info = self.recording.parameters[index]
        row = self._table.row(index)
        inside = printable(info.module) or "the model itself"
        owner = f"  in {inside} ({printable(info.module_type)})" if info.module_type else ""
        sampled = SAMPLED if info.numel > SAMPLE else ""
        also = f"  also {', '.join(map(printable, info.also))}" if info.also else ""
        yield (strong(row.name), dim(f"  {row.shape}  {row.dtype}{owner}{also}{sampled}"))
        width = max(12, min(104, self.size.width - 84))
        for figure in FIGURES:
            value = self._table.figure(index, figure)
            course = self._trend(index, figure.statistic, width)
            yield (
                dim(f"{figure.title:<10}"),
                Span(f"{value.text:>9}  ", value.tone),
                *course,
                dim(f"  {self._range(index, figure):<20}  {figure.meaning}"),
            )

    def _range(self, index: int, figure: Figure) -> str:
        """Least and largest over the run, written like the value."""
        if not len(self.recording):
            return ""
        _, low, high = self.recording.overview(index, figure.statistic, 64)
        low, high = low[np.isfinite(low)], high[np.isfinite(high)]
        return f"{figure.write(float(low.min()))} … {figure.write(float(high.max()))}" if low.size else ""
