"""How a tone looks in the terminal. Data never passes through markup here."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content

from graddebug.views.line import Line, Tone

#: Textual style of each tone, in the theme's variables.
STYLES: dict[Tone, str] = {
    Tone.PLAIN: "",
    Tone.DIM: "$foreground 60%",
    Tone.STRONG: "bold",
    Tone.ACCENT: "$primary",
    Tone.CODE: "$foreground",
    Tone.GOOD: "$success",
    Tone.NOTE: "$accent",
    Tone.WARNING: "$warning",
    Tone.ERROR: "bold $error",
}


def content(spans: Line) -> Content:
    """A line as Textual content."""
    return Content.assemble(*((span.text, STYLES[span.tone]) for span in spans))


def joined(lines: Iterable[Line]) -> Content:
    """Several lines, one below the other."""
    return Content("\n").join([content(spans) for spans in lines])
