"""GD605: clips by a norm that is not finite."""

from __future__ import annotations

import math

from graddebug.records import Severity
from tests.diagnose.story import MODEL, Lines, Story, Tell


def clipped(story: Story, *, norm: float = math.inf, limit: float = 1.0, skip: bool = False) -> None:
    story.clear("optimizer")
    story.backward()
    story.clip(max_norm=limit, total_norm=norm)
    if not skip:
        story.step(zero=story.set(None) if math.isfinite(limit) and norm == math.inf else ())


def test_fires_when_zeros_are_applied(tell: Tell, lines: Lines) -> None:
    """All gradients were finite, and their squares were not."""
    story = tell()
    clipped(story)
    finding = story.found("GD605")
    assert (finding.severity, finding.parameters) == (Severity.ERROR, MODEL)
    assert lines(finding) == {"clip": 42, "step": 43}
    assert "into zeros" in finding.message
    assert "their squares do not fit into the dtype" in finding.message


def test_a_step_that_is_not_taken_is_right(tell: Tell) -> None:
    """The norm was looked at."""
    story = tell()
    for _ in range(3):
        clipped(story, skip=True)
    assert "GD605" not in story.codes


def test_a_finite_norm_is_right(tell: Tell) -> None:
    """The twin."""
    story = tell()
    for _ in range(3):
        clipped(story, norm=8.0)
    assert "GD605" not in story.codes


def test_a_step_that_the_scaler_leaves_out_is_right(tell: Tell) -> None:
    """A fused kernel finds inf and changes nothing."""
    story = tell()
    story.backward()
    story.clip(max_norm=1.0, total_norm=math.inf)
    story.step(zero=story.set(None), skipped=True)
    assert "GD605" not in story.codes
