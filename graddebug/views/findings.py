"""Findings as a list by weight, and one finding in full."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graddebug.records import Finding, Severity
from graddebug.views.columns import Column
from graddebug.views.figures import number, several
from graddebug.views.line import GLYPHS, TONES, Line, Span, Tone, dim, line, strong
from graddebug.views.printable import printable
from graddebug.views.quote import Quote, place, quotes

NO_FINDINGS = "No rule objected to how gradients were written, cleared and used."


FINDING_COLUMNS = (
    Column("severity", "severity", 9),
    Column("code", "code", 5),
    Column("slug", "what", 20, grow=8, most=32),
    Column("where", "where", 14, grow=8, rank=1, most=40, keeps_end=True),
    Column("steps", "steps", 9, right=True, rank=2),
    Column("count", "times", 5, right=True, rank=3),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """One finding in a list. ``where`` is the place of its last role, where the harm was done."""

    id: str
    severity: Severity
    code: str
    slug: str
    where: str
    steps: str
    count: int
    first_step: int
    last_step: int
    summary: str
    acknowledged: bool

    @property
    def tone(self) -> Tone:
        """Tone of its severity; dim once acknowledged."""
        return Tone.DIM if self.acknowledged else TONES[self.severity]

    @property
    def glyph(self) -> str:
        """One cell that says the severity."""
        return GLYPHS[self.severity]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingDetail:
    """One finding in full; ``more_parameters`` counts those left out of ``parameters``."""

    row: FindingRow
    message: str
    fix: str
    quotes: tuple[Quote, ...]
    evidence: tuple[tuple[str, str], ...]
    parameters: tuple[str, ...]
    more_parameters: int
    when: str
    acknowledged: str | None


def finding_rows(findings: Iterable[Finding]) -> list[FindingRow]:
    """Rows by weight: open before acknowledged, errors first, then by first step."""
    ordered = sorted(findings, key=lambda f: (f.acknowledged is not None, -f.severity, f.first_step))
    return [finding_row(finding) for finding in ordered]


def folded_rows(findings: Iterable[Finding], *, folded: bool) -> list[FindingRow | None]:
    """Rows by weight, with None above the acknowledged ones, which are left out if ``folded``."""
    rows = finding_rows(findings)
    opened: list[FindingRow | None] = [row for row in rows if not row.acknowledged]
    known = [] if folded else [row for row in rows if row.acknowledged]
    return [*opened, *([None] if len(opened) < len(rows) else []), *known]


def fold_cells(count: int, *, folded: bool) -> list[Line]:
    """The line above ``count`` acknowledged findings, by `FINDING_COLUMNS`."""
    return [(), (), (dim(f"{'▸' if folded else '▾'} {count} acknowledged"),), (), (), ()]


def fold_lines(count: int, *, folded: bool) -> list[Line]:
    """What the line above them says in full."""
    what = several(count, "finding")
    return [
        (strong(f"{what} acknowledged"),),
        (dim(f"Enter {'shows' if folded else 'folds'} what is known."),),
    ]


def finding_row(finding: Finding) -> FindingRow:
    """The row of one finding."""
    return FindingRow(
        id=finding.id,
        severity=finding.severity,
        code=printable(finding.rule),
        slug=printable(finding.slug),
        where=place(finding.roles[-1].site) if finding.roles else "",
        steps=step_range(finding),
        count=finding.count,
        first_step=finding.first_step,
        last_step=finding.last_step,
        summary=printable(finding.message),
        acknowledged=finding.acknowledged is not None,
    )


def finding_detail(finding: Finding, *, parameters: int = 12, beneath: str = "") -> FindingDetail:
    """One finding with its source quoted, its proof in words, and at most ``parameters`` names.

    Files beneath the folder ``beneath`` are named from there: the recording's ``info.cwd``.
    """
    return FindingDetail(
        row=finding_row(finding),
        message=printable(finding.message),
        fix=printable(finding.fix),
        quotes=quotes(finding.roles, beneath=beneath),
        evidence=tuple((_label(key), _value(value)) for key, value in finding.evidence.items()),
        parameters=tuple(map(printable, finding.parameters[:parameters])),
        more_parameters=max(0, len(finding.parameters) - parameters),
        when=_when(finding),
        acknowledged=None if finding.acknowledged is None else printable(_why_known(finding)),
    )


def _why_known(finding: Finding) -> str:
    where = f" ({finding.acknowledged_by})" if finding.acknowledged_by else ""
    return f"{finding.acknowledged}{where}"


def step_range(finding: Finding) -> str:
    """``3`` or ``3-17``: first and last step."""
    if finding.first_step == finding.last_step:
        return str(finding.first_step)
    return f"{finding.first_step}\N{EN DASH}{finding.last_step}"


def findings_at(findings: Iterable[Finding], step: int) -> list[Finding]:
    """Findings whose first to last step span ``step``, heaviest first."""
    here = (finding for finding in findings if finding.first_step <= step <= finding.last_step)
    return sorted(here, key=lambda finding: -finding.severity)


def tally(findings: Sequence[Finding]) -> Line:
    """``✖ 1 error  ▲ 2 warnings``, or that there is none; acknowledged ones are not counted."""
    spans: list[str | Span] = []
    for severity in sorted(Severity, reverse=True):
        count = sum(f.severity is severity and f.acknowledged is None for f in findings)
        if count:
            gap = "  " if spans else ""
            spans += [gap, Span(f"{GLYPHS[severity]} {several(count, severity.word)}", TONES[severity])]
    return line(*spans) or line(Span("✔ no findings", Tone.GOOD))


def _when(finding: Finding) -> str:
    if finding.count == 1:
        return f"once, in step {finding.first_step}"
    times = several(finding.count, "time")
    if finding.first_step == finding.last_step:
        return f"{times}, all in step {finding.first_step}"
    return f"{times}, from step {finding.first_step} to step {finding.last_step}"


def _label(key: str) -> str:
    return printable(key.replace("_", " "))


def _value(value: object) -> str:
    if isinstance(value, bool | str):
        return printable(str(value))
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    return printable(str(value))


def finding_cells(row: FindingRow) -> list[Line]:
    """A finding's cells, by `FINDING_COLUMNS`."""
    done = " (acknowledged)" if row.acknowledged else ""
    return [
        (Span(f"{row.glyph} {row.severity.word}", row.tone),),
        (strong(row.code),),
        (Span(row.slug), dim(done)),
        (dim(row.where),),
        (Span(row.steps),),
        (Span(f"{row.count:,}"),),
    ]
