"""Findings weighed against each other: their order, their count, and whether they fail a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graddebug.records import Finding, Severity


def by_weight(findings: Iterable[Finding]) -> list[Finding]:
    """Open ones before acknowledged ones, errors first; within a severity, what began first."""
    return sorted(findings, key=lambda f: (f.acknowledged is not None, -f.severity, f.first_step, f.rule))


def open_ones(findings: Iterable[Finding]) -> list[Finding]:
    """Those that nobody has acknowledged."""
    return [finding for finding in findings if finding.acknowledged is None]


def fails(findings: Iterable[Finding], least: Severity | None) -> bool:
    """Whether a finding that nobody has acknowledged is at or above ``least``; never for None."""
    if least is None:
        return False
    return any(finding.severity >= least for finding in open_ones(findings))


def tally(findings: Sequence[Finding]) -> str:
    """``"1 error, 2 warnings"``: how many of each severity, heaviest first; ``"no findings"``.

    Those that are acknowledged are counted apart: ``"no findings, 1 acknowledged"``.
    """
    opened = open_ones(findings)
    counts = {severity: sum(f.severity is severity for f in opened) for severity in reversed(Severity)}
    said = [counted(count, severity.word) for severity, count in counts.items() if count] or ["no findings"]
    known = len(findings) - len(opened)
    return ", ".join([*said, *([f"{known} acknowledged"] if known else [])])


def counted(count: int, noun: str) -> str:
    """``"1 step"``, ``"2 steps"``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
