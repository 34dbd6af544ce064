"""GD603: clips that find nothing."""

from __future__ import annotations

from typing import Any

import pytest

from graddebug.records import Severity
from tests.diagnose.story import MODEL, Lines, Story, Tell


def nothing(story: Story, *, steps: int, also: bool = False, **given: Any) -> None:
    for _ in range(steps):
        story.clear("optimizer")
        story.backward(MODEL)
        if also:
            story.clip(at=41, max_norm=1.0, total_norm=8.0)
        story.clip((), max_norm=1.0, total_norm=0.0, **given)
        story.step()


def test_fires_at_the_first_step(tell: Tell, lines: Lines) -> None:
    """A call with nothing at all."""
    story = tell()
    nothing(story, steps=1)
    finding = story.found("GD603")
    assert (finding.severity, finding.parameters) == (Severity.WARNING, MODEL)
    assert lines(finding) == {"step": 43, "clip": 42}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "an iterator that is used up, or a filter that matches nothing"),
        ({"strangers": 4, "gradients": True}, "it was given 4 gradients, not the parameters that have them"),
        ({"strangers": 4}, "none of the 4 tensors it was given has a gradient"),
    ],
)
def test_it_says_why(tell: Tell, given: dict[str, Any], why: str) -> None:
    """What it was given instead."""
    story = tell()
    nothing(story, steps=1, **given)
    assert why in story.found("GD603").message


def test_an_iterator_used_up_by_the_first_call(tell: Tell) -> None:
    """It worked once."""
    story = tell()
    story.backward()
    story.clip(max_norm=1.0, total_norm=8.0)
    story.step()
    nothing(story, steps=1)
    assert "though it was at first" in story.found("GD603").message


def test_parameters_of_another_model(tell: Tell) -> None:
    """Not at once: theirs may be on the way."""
    story = tell(outside=("copy.weight",))
    nothing(story, steps=2, without=(4,))
    assert story.codes == []
    nothing(story, steps=1, without=(4,))
    assert "none of the 1 parameter" in story.found("GD603").message


def test_a_part_that_this_batch_did_not_use(tell: Tell) -> None:
    """An optimizer owns it, and another batch will use it."""
    story = tell()
    for _ in range(6):
        story.clear("optimizer")
        story.backward(MODEL[:2])
        story.clip(("fc2.weight",), max_norm=1.0, total_norm=0.0, without=story.set(("fc2.weight",)))
        story.step()
    assert "GD603" not in story.codes


def test_another_call_clips(tell: Tell) -> None:
    """The twin: the step is clipped."""
    story = tell()
    nothing(story, steps=3, also=True)
    assert story.codes == []
