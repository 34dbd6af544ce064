"""GD302: terms of a loss that have no effect."""

from __future__ import annotations

from graddebug.records import DetachedTerm, Severity
from tests.diagnose.story import Lines, Tell, site

ADDED, SOURCE = site(20, "loss = ce + 0.1 * reg.item()"), site(18, "reg = l2(model)")


def test_both_lines_are_named(tell: Tell, lines: Lines) -> None:
    """A note; wording."""
    story = tell()
    story.tell(DetachedTerm, at=41, added_at=ADDED, computed_at=SOURCE, factor=0.1, seen=5)
    finding = story.found("GD302")
    assert finding.severity is Severity.NOTE
    assert lines(finding) == {"term": 18, "added": 20, "backward": 41}
    assert finding.message == (
        "`loss = ce + 0.1 * reg.item()` (train.py:20) adds a number that carries no gradient: it was 0.1 times what "
        "`reg = l2(model)` (train.py:18) computes, 5 times in a row. That has a graph, but no backward runs through "
        "it."
    )
    assert "add the tensor itself at train.py:20" in finding.fix


def test_a_factor_of_one_is_not_spelled_out(tell: Tell) -> None:
    """It was what the line computes."""
    story = tell()
    story.tell(DetachedTerm, at=41, added_at=ADDED, computed_at=SOURCE, seen=5)
    assert "it was what `reg = l2(model)`" in story.found("GD302").message
