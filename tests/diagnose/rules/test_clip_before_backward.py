"""GD602: clips in front of the backward."""

from __future__ import annotations

from graddebug.records import Severity
from tests.diagnose.story import MODEL, Lines, Story, Tell


def early(story: Story, *, steps: int, clear_first: bool = True, again: bool = False) -> None:
    for _ in range(steps):
        if clear_first:
            story.clear("optimizer")
        story.forward(built_graph=True)
        without = () if story.graded else story.set(None)
        story.clip(at=40, max_norm=1.0, total_norm=0.0 if without else 8.0, without=without)
        if not clear_first:
            story.clear("optimizer")
        story.backward()
        if again:
            story.clip(at=42, max_norm=1.0, total_norm=8.0)
        story.step()


def test_fires_at_the_step_that_applies_it(tell: Tell, lines: Lines) -> None:
    """What is written later is not clipped."""
    story = tell()
    early(story, steps=1)
    finding = story.found("GD602")
    assert (finding.severity, finding.parameters) == (Severity.ERROR, MODEL)
    assert lines(finding) == {"backward": 41, "step": 43, "clip": 40}


def test_wording(tell: Tell) -> None:
    """Message and fix."""
    story = tell()
    early(story, steps=1)
    finding = story.found("GD602")
    assert finding.message == (
        "`clip_grad_norm_(params, 1.0)` (train.py:40) ran before `loss.backward()` (train.py:41) and found no "
        "gradient. What that backward wrote into fc1.weight, fc1.bias and 2 more afterwards was applied by "
        "`optimizer.step()` (train.py:43) without being clipped to a norm of 1."
    )
    assert finding.fix == (
        "Move `clip_grad_norm_(params, 1.0)` (train.py:40) behind `loss.backward()` (train.py:41), in front "
        "of the step (train.py:43)."
    )


def test_gradients_of_the_last_batch(tell: Tell) -> None:
    """They were used by a step, and are cleared next."""
    story = tell()
    early(story, steps=4, clear_first=False)
    assert (story.codes, story.found("GD602").count) == (["GD602"], 4)


def test_clipped_again_behind_the_backward(tell: Tell) -> None:
    """The twin: the step is clipped."""
    story = tell()
    early(story, steps=3, again=True)
    assert story.codes == []


def test_a_clip_between_two_backwards_is_not_early(tell: Tell) -> None:
    """It found new gradients: how often it runs is another rule's."""
    story = tell()
    for _ in range(3):
        story.clear("optimizer")
        story.forward(built_graph=True)
        story.backward()
        story.clip(max_norm=1.0, total_norm=8.0)
        story.backward()
        story.step()
    assert "GD602" not in story.codes
