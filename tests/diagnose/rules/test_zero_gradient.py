"""GD510: gradients of exactly zero."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.diagnose.story import Lines, Story, Tell

NET = ("a.weight", "a.bias", "b.weight", "b.bias", "c.weight", "c.bias")


def train(story: Story, *zero: str, steps: int = 30, loss: float = 1.0, **more: Any) -> Story:
    """Steps in which some gradients are zero."""
    norms = {name: 0.0 if name in zero else 1.0 for name in story.names}
    columns: dict[str, Any] = {"grad_norm": norms, "grad_norm_written": norms, "update_ratio": 1e-3} | more
    for _ in range(steps):
        story.clear("optimizer")
        story.backward(loss=loss)
        story.step()
        story.measured(loss=loss, **columns)
    return story


def net(tell: Tell) -> Story:
    shapes = {name: (4, 4) if name.endswith("weight") else (4,) for name in NET}
    return tell(*NET, shapes=shapes)


def test_dead_units(tell: Tell, lines: Lines) -> None:
    """A layer gets nothing, and behind it only a bias does."""
    finding = train(net(tell), "a.weight", "a.bias", "b.weight", "b.bias", "c.weight").found("GD510")
    assert lines(finding) == {"backward": 41, "step": 43}
    assert (finding.first_step, finding.evidence["shape"]) == (0, "dead")
    assert finding.parameters == NET[:5]
    assert finding.message == (
        "The gradients of a.weight, a.bias and 3 more have been exactly zero in 20 steps. c still gets one in the "
        "bias, so what comes in there is all zero: the units of a and b are dead (a ReLU whose inputs are all "
        "negative, or a mask over everything)."
    )


def test_nothing_gets_anything(tell: Tell) -> None:
    """The loss stands where it stood, and no weight can change it."""
    finding = train(net(tell), *NET, loss=50.0).found("GD510")
    assert (finding.evidence["shape"], finding.parameters) == ("saturated", NET)
    assert "while the loss is 50: no weight can change it" in finding.message


def test_a_loss_that_is_satisfied(tell: Tell) -> None:
    """It has fallen, or there is none."""
    learned = train(train(net(tell), loss=5.0), *NET, loss=0.5)
    assert learned.alarms == []
    assert train(net(tell), *NET, loss=0.0).alarms == []


def test_a_part_for_the_whole_run(tell: Tell) -> None:
    """Said at the end: a term may come into the loss later."""
    story = train(net(tell), "b.weight", "b.bias")
    assert story.alarms == []
    story.end()
    finding = story.found("GD510")
    assert (finding.evidence["shape"], finding.parameters) == ("part", ("b.weight", "b.bias"))


def test_a_part_that_once_had_one(tell: Tell) -> None:
    """Phases of training switch parts off."""
    story = train(train(net(tell)), "b.weight", "b.bias")
    story.end()
    assert story.alarms == []


@pytest.mark.parametrize("steps", [1, 2, 15])
def test_not_in_the_first_steps(tell: Tell, steps: int) -> None:
    """An adapter that begins at zero gives its neighbour zero."""
    story = train(train(net(tell), "a.weight", "a.bias", "b.weight", steps=steps), steps=40)
    story.end()
    assert story.alarms == []


def test_while_nothing_moves(tell: Tell) -> None:
    """A rate of zero keeps an adapter where it begins."""
    story = train(net(tell), "a.weight", "a.bias", "b.weight", steps=60, update_ratio=0.0)
    story.end()
    assert story.alarms == []


def test_one_of_alike_parts(tell: Tell) -> None:
    """An expert that is never chosen."""
    names = ("experts.0.weight", "experts.1.weight", "experts.2.weight")
    story = train(tell(*names, shapes=dict.fromkeys(names, (4, 4))), names[1])
    story.end()
    assert story.alarms == []


def test_zeros_that_no_backward_wrote(tell: Tell) -> None:
    """Cleared to zero and not reached: another finding, if any."""
    written = {name: math.nan if name == "b.weight" else 1.0 for name in NET}
    story = train(net(tell), "b.weight", grad_norm_written=written)
    story.end()
    assert "GD510" not in story.codes


def test_what_a_clip_made_zero_was_not_written_so(tell: Tell) -> None:
    """A limit of 0 is the clip's own finding."""
    story = train(net(tell), *NET, grad_norm_written=1.0)
    story.end()
    assert "GD510" not in story.codes
