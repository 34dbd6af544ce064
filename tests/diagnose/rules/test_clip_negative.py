"""GD607: limits that are negative or zero."""

from __future__ import annotations

from typing import Any

import pytest

from graddebug.records import Severity
from tests.diagnose.story import MODEL, Lines, Story, Tell


def train(story: Story, *, steps: int = 1, skipped: bool = False, **limit: Any) -> None:
    for _ in range(steps):
        story.clear("optimizer")
        story.backward()
        story.clip(**limit)
        story.step(skipped=skipped)


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        ({"max_norm": -1.0, "total_norm": 8.0}, "it multiplied by -0.125 the gradients of fc1.weight"),
        ({"max_norm": 0.0, "total_norm": 8.0}, "it set to zero the gradients of fc1.weight"),
        ({"clip_value": -0.5}, "it set every element to -0.5 in the gradients of fc1.weight"),
    ],
)
def test_fires_at_the_step(tell: Tell, lines: Lines, limit: dict[str, Any], text: str) -> None:
    """Whatever function clips."""
    story = tell()
    train(story, **limit)
    finding = story.found("GD607")
    assert (finding.severity, finding.parameters) == (Severity.ERROR, MODEL)
    assert lines(finding) == {"clip": 42, "step": 43}
    assert text in finding.message


@pytest.mark.parametrize("limit", [{"max_norm": 1.0, "total_norm": 8.0}, {"clip_value": 0.5}])
def test_a_positive_limit_is_right(tell: Tell, limit: dict[str, Any]) -> None:
    """The twin."""
    story = tell()
    train(story, steps=3, **limit)
    assert story.codes == []


def test_a_norm_of_zero_is_not_changed(tell: Tell) -> None:
    """Zero times anything is zero."""
    story = tell()
    train(story, max_norm=-1.0, total_norm=0.0)
    assert "GD607" not in story.codes


def test_a_step_that_changed_nothing_is_right(tell: Tell) -> None:
    """The scaler left it out."""
    story = tell()
    train(story, skipped=True, max_norm=-1.0, total_norm=8.0)
    assert "GD607" not in story.codes
