"""Findings weighed against each other: their order, their count, and whether they fail a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graddebug.records import Finding, Severity


def by_weight(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first; within a severity, what began first."""
    return sorted(findings, key=lambda finding: (-finding.severity, finding.first_step, finding.rule))


def fails(findings: Iterable[Finding], least: Severity | None) -> bool:
    """Whether a finding that nobody has acknowledged is at or above ``least``; never for None."""
    if least is None:
        return False
    return any(finding.severity >= least and finding.acknowledged is None for finding in findings)


def tally(findings: Sequence[Finding]) -> str:
    """``"1 error, 2 warnings"``: how many of each severity, heaviest first; ``"no findings"``."""
    counts = {severity: sum(f.severity is severity for f in findings) for severity in reversed(Severity)}
    said = [counted(count, severity.word) for severity, count in counts.items() if count]
    return ", ".join(said) or "no findings"


def counted(count: int, noun: str) -> str:
    """``"1 step"``, ``"2 steps"``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
