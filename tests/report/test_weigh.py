"""Findings weighed."""

from __future__ import annotations

import pytest

from graddebug.records import Severity
from graddebug.report.weigh import by_weight, counted, fails, tally
from tests.report.stories import EVAL, STALE, finding

NOTE = finding(severity=Severity.NOTE, first_step=0)


def test_errors_come_first() -> None:
    """Severity before time, time before code."""
    early = finding(first_step=0)
    assert by_weight([NOTE, EVAL, STALE, early]) == [early, STALE, EVAL, NOTE]


@pytest.mark.parametrize(
    ("least", "failed"),
    [(Severity.NOTE, True), (Severity.WARNING, True), (Severity.ERROR, False), (None, False)],
)
def test_a_warning_fails_up_to_its_severity(least: Severity | None, failed: bool) -> None:
    """At or above the least severity fails; `never` never does."""
    assert fails([EVAL], least) is failed


def test_an_acknowledged_finding_does_not_fail() -> None:
    """What somebody has explained is shown, and lets the run pass."""
    assert not fails([finding(acknowledged="known")], Severity.NOTE)


def test_tally_counts_by_severity() -> None:
    """Heaviest first, nothing for what is absent."""
    assert tally([NOTE, STALE, STALE]) == "2 errors, 1 note"
    assert tally([]) == "no findings"
    assert counted(1, "step") == "1 step"
