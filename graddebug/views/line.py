"""A line of words with tones: what a view hands to whoever draws it.

A tone says what a word is, not its colour; each face picks its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from graddebug.records import Severity
from graddebug.views.printable import cells, fit, fit_end


class Tone(StrEnum):
    """What a stretch of text is."""

    PLAIN = "plain"
    DIM = "dim"
    STRONG = "strong"
    ACCENT = "accent"
    CODE = "code"
    GOOD = "good"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Span:
    """Text in one tone."""

    text: str
    tone: Tone = Tone.PLAIN


Line = tuple[Span, ...]

#: Glyph of each severity; all are one cell wide.
GLYPHS = {Severity.ERROR: "✖", Severity.WARNING: "▲", Severity.NOTE: "●"}
TONES = {Severity.ERROR: Tone.ERROR, Severity.WARNING: Tone.WARNING, Severity.NOTE: Tone.NOTE}


def line(*parts: str | Span) -> Line:
    """A line of its parts; a bare string is plain, an empty one is left out."""
    spans = (Span(part) if isinstance(part, str) else part for part in parts)
    return tuple(span for span in spans if span.text)


def plain(spans: Line) -> str:
    """The line's text without its tones."""
    return "".join(span.text for span in spans)


def cut(spans: Line, width: int) -> Line:
    """The line's first ``width`` columns, with an ellipsis where its end is missing."""
    kept: list[Span] = []
    for span in spans:
        text = fit(span.text, width)
        kept.append(Span(text, span.tone))
        width -= cells(text)
        if text != span.text:
            break
    return tuple(kept)


def cut_front(spans: Line, width: int) -> Line:
    """The line's last ``width`` columns, with an ellipsis where its beginning is missing."""
    kept: list[Span] = []
    for span in reversed(spans):
        text = fit_end(span.text, width)
        kept.append(Span(text, span.tone))
        width -= cells(text)
        if text != span.text:
            break
    return tuple(reversed(kept))


def dim(text: str) -> Span:
    """Text that stands back."""
    return Span(text, Tone.DIM)


def strong(text: str) -> Span:
    """Text that stands out."""
    return Span(text, Tone.STRONG)
