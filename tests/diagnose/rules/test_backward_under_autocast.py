"""GD416: a backward or a step inside the autocast region."""

from __future__ import annotations

from dataclasses import replace

from graddebug.records import Backward
from tests.diagnose.story import Tell, site


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


def test_a_trainer_that_does_so_itself(tell: Tell) -> None:
    """The region is the library's: a program can do nothing about it."""
    story = tell()
    trainer = replace(site(7), library="lightning/trainer.py:90 in run")
    story.tell(Backward, site=trainer, written=story.set(None), autocast="bfloat16")
    assert story.codes == []
