"""GD311: owned, trainable, in train mode, and always without gradients."""

from __future__ import annotations

from typing import Any

import pytest

from graddebug.records import Severity
from tests.diagnose.story import Story, Tell, lines

ENCODER, HEAD = ("fc1.weight", "fc1.bias"), ("fc2.weight", "fc2.bias")


def train(story: Story, windows: int = 5, **quiet: Any) -> Story:
    """The head is trained; the encoder runs without gradients."""
    story.used(HEAD)
    for _ in range(windows):
        story.clear("optimizer")
        story.backward(HEAD)
        story.step()
    told: dict[str, Any] = {"how": "no_grad", "steps": windows} | quiet
    story.quiet(ENCODER, **told)
    return story


def test_an_encoder_under_no_grad(tell: Tell) -> None:
    """In the whole run: the one finding, with the line that ran it."""
    story = train(tell())
    story.end()
    finding = story.found("GD311")
    assert (story.codes, finding.severity) == (["GD311"], Severity.WARNING)
    assert lines(finding) == {"forward": 60, "step": 43}
    assert finding.message == (
        "`optimizer` owns fc1.weight and fc1.bias, and the modules are in train mode, but in all 5 steps "
        "they ran with gradients disabled (`self.encoder(x)` (train.py:60)): no backward can reach them."
    )


def test_while_the_run_goes_on_it_is_a_note(tell: Tell) -> None:
    """It may be let into the training later, and GD204 has nothing to add."""
    story = train(tell(), 10)
    train(story, 10)
    train(story, 3)
    assert (story.codes, story.found("GD311").severity) == (["GD311"], Severity.NOTE)
    story.end()
    assert (story.codes, story.found("GD311").severity) == (["GD311"], Severity.WARNING)


@pytest.mark.parametrize("how", [{"how": "checkpoint"}, {"training": False}], ids=["checkpoint", "eval"])
def test_other_ways_to_run_without(tell: Tell, how: dict[str, Any]) -> None:
    """A checkpoint that cuts is GD310; eval mode is how one runs what stays as it is."""
    story = train(tell(), **how)
    story.end()
    assert "GD311" not in story.codes


def test_rollouts_of_what_is_trained(tell: Tell) -> None:
    """It runs with gradients, too, though seldom."""
    story = train(tell())
    story.used(ENCODER)
    story.end()
    assert "GD311" not in story.codes


def test_a_teacher_that_the_program_averages(tell: Tell) -> None:
    """Its weights change, by hand."""
    story = train(tell())
    story.move(ENCODER)
    story.end()
    assert "GD311" not in story.codes


def test_frozen_at_last(tell: Tell) -> None:
    """What does not require grad is meant to stay."""
    story = train(tell())
    story.freeze(ENCODER)
    story.end()
    assert story.alarms == []
