"""Lines of text of a bounded width: headings, sentences, tables. Nothing here knows a recording."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest

from graddebug.views.columns import Column, share_width
from graddebug.views.finding_words import cut_source
from graddebug.views.line import Line, plain
from graddebug.views.printable import cells, fit_end, pad

#: The column whose text wraps instead of being cut.
WRAPPED = "words"
INDENT = "  "
#: Source lines and charts hold one of these; they are cut at the edge, sentences wrap.
_NEVER_WRAPPED = "│▁▂▃▄▅▆▇█"


def wrapped(spans: Line, width: int) -> Iterator[str]:
    """Long sentences wrap; source lines and charts are cut instead."""
    text = plain(spans)
    if cells(text) <= width - 2 or any(mark in text for mark in _NEVER_WRAPPED):
        yield INDENT + plain(cut_source(spans, width - 2))
        return
    indent = len(text) - len(text.lstrip())
    for part in textwrap.wrap(text, width - 2, subsequent_indent=" " * indent):
        yield INDENT + part


def heading(text: str) -> Iterable[str]:
    """A line that stands apart."""
    return ("", text, "")


def text_table(
    columns: Sequence[Column],
    count: int,
    paint: Callable[[int, dict[str, int]], Sequence[Line]],
    width: int,
) -> Iterator[str]:
    """A heading and ``count`` rows in at most ``width`` columns; ``paint`` gives a row's cells."""
    layout = share_width(columns, width - len(INDENT))
    widths = {columns[place].key: taken for place, taken in layout}
    titles = [(columns[place].title, taken, columns[place].right) for place, taken in layout]
    yield INDENT + "  ".join(pad(title, taken, right=right) for title, taken, right in titles)
    for row in range(count):
        painted = paint(row, widths)
        yield from _table_row(columns, [plain(spans) for spans in painted], layout)


def _table_row(
    columns: Sequence[Column], texts: Sequence[str], layout: Sequence[tuple[int, int]]
) -> Iterator[str]:
    """One line, or several where a sentence (`WRAPPED`) is longer than its column."""
    parts = [_parts(columns[place], texts[place], taken) for place, taken in layout]
    for line in zip_longest(*parts, fillvalue=""):
        drawn = (
            pad(text, taken, right=columns[place].right)
            for text, (place, taken) in zip(line, layout, strict=True)
        )
        yield INDENT + "  ".join(drawn)


def _parts(column: Column, text: str, width: int) -> list[str]:
    if column.key == WRAPPED and cells(text) > width:
        return textwrap.wrap(text, width)
    if column.keeps_end:
        return [fit_end(text, width)]
    return [text]
