"""A finding in full, line by line, with the source quoted."""

from __future__ import annotations

from collections.abc import Iterator

from graddebug.views.findings import FindingDetail, FindingRow
from graddebug.views.line import Line, Span, Tone, cut, dim, plain, strong
from graddebug.views.printable import cells
from graddebug.views.quote import Quote, QuotedLine

#: Begins the part that a guilty line plays.
_PART = "  ◀ "
_LEAST_SOURCE = 12


def finding_heading(row: FindingRow) -> Iterator[Line]:
    """What a finding is, and its message."""
    yield (Span(f"{row.glyph} {row.severity.word}  ", row.tone), strong(f"{row.code} {row.slug}"))
    yield (Span(row.summary),)


def finding_lines(detail: FindingDetail) -> Iterator[Line]:
    """A finding in full, section by section."""
    row = detail.row
    what = strong(f"{row.code} {row.slug}")
    yield (Span(f"{row.glyph} {row.severity.word}  ", row.tone), what, dim(f"  {detail.when}"))
    if detail.acknowledged is not None:
        yield (Span(f"acknowledged: {detail.acknowledged}", Tone.GOOD),)
    yield ()
    yield (Span(detail.message),)
    for quote in detail.quotes:
        yield ()
        yield from quote_lines(quote, row.tone)
    yield ()
    yield (Span("fix  ", Tone.GOOD), Span(detail.fix))
    yield from _evidence(detail)
    yield from _parameters(detail)


def quote_lines(quote: Quote, tone: Tone) -> Iterator[Line]:
    """Source with its guilty lines marked, and the part each plays behind it."""
    functions = f"  in {', '.join(quote.functions)}" if quote.functions else ""
    yield (Span(quote.file, Tone.ACCENT), dim(functions))
    for library in quote.libraries:
        yield (dim(f"through {library}"),)
    for line in quote.lines:
        yield (dim(" " * (quote.width + 2) + " ⋮"),) if line is None else _quoted(line, quote.width, tone)


def cut_source(spans: Line, width: int) -> Line:
    """A line of `quote_lines` in ``width`` columns: the code is cut, never the part it plays."""
    part = spans[-1:] if spans and spans[-1].text.startswith(_PART) else ()
    room = max(_LEAST_SOURCE, width - cells(plain(part)))
    return (*cut(spans[: len(spans) - len(part)], room), *part)


def _quoted(line: QuotedLine, width: int, tone: Tone) -> Line:
    number = f"{line.number:>{width}}"
    if not line.roles:
        return (dim(f"  {number} │ {line.text}"),)
    text = line.text or "(source not recorded)"
    role = f"{_PART}{', '.join(line.roles)}"
    return (Span(f"▶ {number} ", tone), dim("│ "), strong(text), Span(role, tone))


def _evidence(detail: FindingDetail) -> Iterator[Line]:
    if not detail.evidence:
        return
    width = max(len(label) for label, _ in detail.evidence)
    yield ()
    yield (Span("evidence", Tone.ACCENT),)
    for label, value in detail.evidence:
        yield (dim(f"  {label:<{width}}  "), Span(value))


def _parameters(detail: FindingDetail) -> Iterator[Line]:
    if not detail.parameters:
        return
    yield ()
    yield (Span("parameters", Tone.ACCENT),)
    for name in detail.parameters:
        yield (Span(f"  {name}"),)
    if detail.more_parameters:
        yield (dim(f"  and {detail.more_parameters:,} more"),)
