"""GD416: a backward or a step inside the autocast region."""

from __future__ import annotations

from tests.diagnose.story import Tell


def test_backward_and_step_inside(tell: Tell) -> None:
    """A note for each."""
    story = tell()
    story.backward(autocast="bfloat16")
    story.step(autocast="bfloat16")
    assert story.codes == ["GD416", "GD416"]
    assert story.alarms == []


def test_a_checkpoint_that_computes_again(tell: Tell) -> None:
    """It restores the region of its forward inside of the backward."""
    story = tell()
    outer = story.backward()
    story.backward(autocast="float16", parent=outer)
    story.step()
    assert story.codes == []
