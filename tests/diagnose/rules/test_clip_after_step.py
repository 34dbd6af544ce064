"""GD601: clips behind the step."""

from __future__ import annotations

from graddebug.records import Severity
from tests.diagnose.story import MODEL, Lines, Story, Tell


def late(story: Story, *, steps: int, norm: float = 8.0, cleared: bool = False) -> None:
    for _ in range(steps):
        if not cleared:
            story.clear("optimizer")
        story.forward(built_graph=True)
        story.backward()
        story.step()
        if cleared:
            story.clear("optimizer", at=44)
        fields = {"without": story.set(None), "total_norm": 0.0} if cleared else {"total_norm": norm}
        story.clip(at=45, max_norm=1.0, **fields)


def test_fires_when_what_was_clipped_is_cleared(tell: Tell, lines: Lines) -> None:
    """It shrinks gradients that are thrown away next."""
    story = tell()
    late(story, steps=1)
    assert story.codes == []
    late(story, steps=1)
    finding = story.found("GD601")
    assert (finding.severity, finding.parameters) == (Severity.ERROR, MODEL)
    assert lines(finding) == {"step": 43, "clip": 45}


def test_wording(tell: Tell) -> None:
    """Message and fix."""
    story = tell()
    late(story, steps=2)
    assert story.found("GD601").message == (
        "`clip_grad_norm_(params, 1.0)` (train.py:45) ran after `optimizer.step()` (train.py:43) had applied "
        "the gradients of fc1.weight, fc1.bias and 2 more. It cut their norm from 8 to 1, but the step had "
        "used 8."
    )
    assert story.found("GD601").fix == (
        "Move `clip_grad_norm_(params, 1.0)` (train.py:45) in front of `optimizer.step()` (train.py:43), "
        "after the backward."
    )


def test_the_last_one_is_told_at_the_end(tell: Tell) -> None:
    """Nothing uses it any more."""
    story = tell()
    late(story, steps=1)
    story.end()
    assert story.codes == ["GD601"]


def test_what_is_cleared_already(tell: Tell) -> None:
    """Nothing is left to clip."""
    story = tell()
    late(story, steps=1, cleared=True)
    assert "found none left" in story.found("GD601").message


def test_what_is_set_to_zero_already(tell: Tell) -> None:
    """It is told when the clip runs, as of gradients that are None."""
    story = tell()
    story.backward()
    story.step()
    story.clear("optimizer", at=44, to_none=False)
    story.clip(at=45, max_norm=1.0, total_norm=0.0)
    finding = story.found("GD601")
    assert finding.severity is Severity.ERROR
    assert finding.message.endswith("It found none left: what was applied was never clipped to a norm of 1.")


def test_a_norm_below_the_limit_is_a_warning(tell: Tell) -> None:
    """No harm is done yet."""
    story = tell()
    late(story, steps=2, norm=0.5)
    assert story.found("GD601").severity is Severity.WARNING


def test_reading_the_norm_is_right(tell: Tell) -> None:
    """A limit that is out of reach does not clip."""
    story = tell()
    for limit in (float("inf"), 1e6):
        story.clear("optimizer")
        story.forward(built_graph=True)
        story.backward()
        story.step()
        story.clip(at=45, max_norm=limit, total_norm=2.0)
    story.end()
    assert story.codes == []


def test_a_clip_before_the_step_and_one_behind_it(tell: Tell) -> None:
    """The step was clipped."""
    story = tell()
    for _ in range(3):
        story.clear("optimizer")
        story.forward(built_graph=True)
        story.backward()
        story.clip(max_norm=1.0, total_norm=8.0)
        story.step()
        story.clip(at=45, max_norm=1.0, total_norm=1.0)
    story.end()
    assert story.codes == []


def test_gradients_that_are_carried_on(tell: Tell) -> None:
    """Used as momentum, what is left is part of the next step."""
    story = tell()
    for _ in range(4):
        story.backward()
        story.step()
        story.clip(at=45, max_norm=1.0, total_norm=8.0)
    assert "GD601" not in story.codes
