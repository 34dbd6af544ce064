"""Mixed precision: the loss scale over the run, each module's headroom, the dtypes of the step's ops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.widget import Widget

from graddebug.views.census import Census
from graddebug.views.empty import empty_lines
from graddebug.views.headroom import HEADROOM_COLUMNS, HeadroomRow, headroom_cells, headroom_lines
from graddebug.views.line import Line
from graddebug.views.precision import (
    Precision,
    census_at,
    end_lines,
    headline,
    measured_words,
    precision,
    scale_lines,
)
from graddebug_tui.screens.view import View
from graddebug_tui.widgets.detail import Detail
from graddebug_tui.widgets.sheet import Rows, Sheet


class PrecisionScreen(View):
    """The scale on top, a row a module, and below it the row in full and the ops by dtype."""

    KEY = "precision"

    def __init__(self) -> None:
        super().__init__()
        self._told: Precision | None = None
        self._ops: Census | None = None

    def body(self) -> Iterator[Widget]:
        """Scale, modules, detail."""
        yield Detail(id="scale")
        yield Sheet(HEADROOM_COLUMNS)
        yield Detail(id="rest")

    @property
    def detail(self) -> Detail:
        """The pane below the table: the one that the keys scroll."""
        return self.query_one("#rest", Detail)

    def draw(self) -> None:
        """The run is read once; the cursor's step is marked in the scale, and its ops are counted."""
        step = self.cursor.step
        bare = step is None
        self.query_one("#body").set_class(bare, "-bare")
        self.query_one("#scale").display = not bare
        if step is None:
            self.detail.show(empty_lines(self.recording))
            return
        told = self._told = self._told or precision(self.recording)
        self._ops = census_at(self.recording, step)
        self.sheet.display = bool(told.headroom.rows)
        self.query_one("#scale", Detail).show(self._scale(told))
        self.sheet.show(Rows(len(told.headroom.rows), self._paint))
        self._tell()

    def on_sheet_moved(self) -> None:
        """Another module in full."""
        self._tell()

    def _rows(self) -> tuple[HeadroomRow, ...]:
        return self._told.headroom.rows if self._told else ()

    def _scale(self, told: Precision) -> Iterator[Line]:
        yield headline(told, self._ops)
        yield from scale_lines(told, width=self.size.width - 4, cursor=self.cursor.step)
        yield measured_words(told.headroom)

    def _paint(self, row: int, widths: dict[str, int]) -> Sequence[Line]:
        found = self._rows()[row]
        return headroom_cells(found, name_width=widths["module"], trend_width=widths.get("trend", 0))

    def _tell(self) -> None:
        if self._told is not None:
            self.detail.show(self._lines(self._told))

    def _lines(self, told: Precision) -> Iterator[Line]:
        if self._rows():
            yield from headroom_lines(self._rows()[self.sheet.cursor])
            yield ()
        yield from end_lines(told, self._ops)
