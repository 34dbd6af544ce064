"""Quoted source, drawn for a terminal: the guilty lines marked, each with the part it plays."""

from __future__ import annotations

from graddebug.report.terminal import paint
from graddebug.views.printable import cells, fit
from graddebug.views.quote import Quote, QuotedLine

_LEAST_SOURCE = 12


def quoted(quote: Quote, *, colour: bool, width: int) -> list[str]:
    """The quote's lines with their numbers, guilty ones behind a ``>``, cut to fit; none without source."""
    if not any(line and line.text for line in quote.lines):
        return []
    return [_line(line, digits=quote.width, colour=colour, width=width) for line in quote.lines]


def _line(line: QuotedLine | None, *, digits: int, colour: bool, width: int) -> str:
    if line is None:
        return paint(f"  {'':>{digits}} ⋮", "dim", colour=colour)
    number, room = f"{line.number:>{digits}}", width - digits - 5
    if not line.roles:
        return paint(f"  {number} │ {fit(line.text, room)}".rstrip(), "dim", colour=colour)
    part = f"  ← {', '.join(line.roles)}"
    text = fit(line.text or "(source not recorded)", max(_LEAST_SOURCE, room - cells(part)))
    return f"> {paint(number, 'bold', colour=colour)} │ {text}{paint(part, 'dim', colour=colour)}"
