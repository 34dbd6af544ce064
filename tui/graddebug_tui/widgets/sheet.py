"""A table that draws only the rows in sight, so that a million rows open at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from graddebug.views.columns import Column, share_width
from graddebug.views.line import Line, Tone, cut, cut_front, plain
from graddebug.views.printable import cells, fit

#: Cells between columns, and cells at the left edge that hold the cursor's mark.
GAP = 2
GUTTER = 2
#: Columns and rows painted ahead; more are painted when they come into sight.
_CACHED_ROWS = 512


@dataclass(frozen=True, slots=True)
class Rows:
    """What a sheet shows: ``paint`` gives a row's cells, one line a column, when it comes into sight.

    ``paint`` is handed the row and the widths of the columns by key, so that a cell can be drawn to fit.
    """

    count: int
    paint: Callable[[int, dict[str, int]], Sequence[Line]]


class Sheet(ScrollView, can_focus=True, inherit_bindings=False):
    """A virtual table with a heading and a row cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "sheet--heading",
        "sheet--cursor",
        *(f"sheet--{tone}" for tone in Tone),
    }
    cursor: reactive[int] = reactive(0)

    class Moved(Message):
        """The cursor came to stand on another row."""

        def __init__(self, sheet: Sheet, row: int) -> None:
            super().__init__()
            self.sheet = sheet
            self.row = row

        @property
        def control(self) -> Sheet:
            """The sheet it happened in."""
            return self.sheet

    class Chosen(Moved):
        """A row was chosen, by Enter or by a second click."""

    class HeadingClicked(Message):
        """A column's heading was clicked."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, columns: Sequence[Column], *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._columns = tuple(columns)
        self._rows = Rows(0, lambda _row, _widths: ())
        self._painted: dict[int, Strip] = {}
        self._layout: list[tuple[int, int]] = []

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self._rows.count

    def show(self, rows: Rows, *, cursor: int | None = None, columns: Sequence[Column] | None = None) -> None:
        """Show other rows; the cursor stays on its place unless it is told another."""
        self._rows = rows
        self._columns = tuple(columns) if columns is not None else self._columns
        self._arrange()
        self.cursor = self.validate_cursor(self.cursor if cursor is None else cursor)
        self.call_after_refresh(self._reveal)

    def validate_cursor(self, cursor: int) -> int:
        """Keep the cursor on a row."""
        return max(0, min(cursor, self.count - 1))

    def watch_cursor(self, before: int, after: int) -> None:
        """Draw both rows again, and tell the screen."""
        self._painted.pop(before, None)
        self._painted.pop(after, None)
        self._reveal()
        self.refresh()
        if self.count:
            self.post_message(self.Moved(self, after))

    def move(self, how: str) -> None:
        """Move the cursor up, down, page_up, page_down, top or bottom; or choose its row."""
        page = max(1, self.scrollable_content_region.height - 2)
        if how == "choose":
            self._choose()
            return
        places = {
            "up": self.cursor - 1,
            "down": self.cursor + 1,
            "page_up": self.cursor - page,
            "page_down": self.cursor + page,
            "top": 0,
            "bottom": self.count - 1,
        }
        self.cursor = places[how]

    def on_resize(self) -> None:
        """Share the new width out among the columns."""
        self._arrange()
        self._reveal()

    def notify_style_update(self) -> None:
        """Forget rows painted in another theme's colours."""
        super().notify_style_update()
        self._painted.clear()

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; on the row under the cursor it chooses."""
        event.stop()
        if event.y == 0:
            self._click_heading(event.x)
            return
        row = event.y - 1 + round(self.scroll_y)
        if row >= self.count:
            return
        if row == self.cursor:
            self._choose()
        self.cursor = row

    def render_line(self, y: int) -> Strip:
        """One line of the viewport: the heading, then rows."""
        if y == 0:
            return self._heading()
        row = y - 1 + round(self.scroll_y)
        if row >= self.count:
            return Strip.blank(self.size.width, self.rich_style)
        if row not in self._painted:
            if len(self._painted) > _CACHED_ROWS:
                self._painted.clear()
            self._painted[row] = self._row(row)
        return self._painted[row]

    def _choose(self) -> None:
        if self.count:
            self.post_message(self.Chosen(self, self.cursor))

    def _arrange(self) -> None:
        width = self.scrollable_content_region.width - GUTTER - 1
        self._layout = share_width(self._columns, width, gap=GAP)
        self._painted.clear()
        self.virtual_size = Size(self.scrollable_content_region.width, self.count + 1)
        self.refresh()

    def _reveal(self) -> None:
        height = self.scrollable_content_region.height - 1
        if height < 1:
            return
        top = round(self.scroll_y)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)

    def _click_heading(self, x: int) -> None:
        left = GUTTER
        for place, width in self._layout:
            if left <= x < left + width + GAP:
                self.post_message(self.HeadingClicked(self._columns[place].key))
                return
            left += width + GAP

    def _heading(self) -> Strip:
        style = self.get_component_rich_style("sheet--heading")
        segments = [Segment(" " * GUTTER, style)]
        for place, width in self._layout:
            column = self._columns[place]
            title = fit(column.title, width)
            blank = " " * (width - cells(title))
            text = blank + title if column.right else title + blank
            segments.append(Segment(text + " " * GAP, style))
        return Strip(segments).adjust_cell_length(self.size.width, style)

    def _row(self, row: int) -> Strip:
        widths = {self._columns[place].key: width for place, width in self._layout}
        painted = self._rows.paint(row, widths)
        is_cursor = row == self.cursor
        base = self.get_component_rich_style("sheet--cursor") if is_cursor else self.rich_style
        segments = [Segment("▌ " if is_cursor else "  ", base + self._tone(Tone.ACCENT))]
        for place, width in self._layout:
            segments += self._cell(painted[place], width, column=self._columns[place], base=base)
            segments.append(Segment(" " * GAP, base))
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _cell(self, spans: Line, width: int, *, column: Column, base: Style) -> list[Segment]:
        kept = cut_front(spans, width) if column.keeps_end else cut(spans, width)
        segments = [Segment(span.text, base + self._tone(span.tone)) for span in kept]
        blank = Segment(" " * (width - cells(plain(kept))), base)
        return [blank, *segments] if column.right else [*segments, blank]

    def _tone(self, tone: Tone) -> Style:
        return self.get_component_rich_style(f"sheet--{tone}", partial=True)
