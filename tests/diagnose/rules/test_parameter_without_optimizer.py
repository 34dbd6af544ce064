"""GD201: trainable parameters in no optimizer."""

from __future__ import annotations

from typing import Any

from tests.diagnose.story import Lines, Story, Tell

PARTS: dict[str, Any] = {
    "optimizers": {"optimizer": ("head.weight",)},
    "outside": ("body.weight", "body.bias"),
}


def train(story: Story, *, steps: int, **backward: Any) -> None:
    for _ in range(steps):
        story.forward()
        story.backward(**backward)
        story.step()
        story.clear(params=None, how="module.zero_grad")


def test_left_out_of_the_optimizer(tell: Tell, lines: Lines) -> None:
    """Three windows of gradients for nobody."""
    story = tell(**PARTS)
    train(story, steps=2)
    assert story.codes == []
    train(story, steps=1)
    finding = story.found("GD201")
    assert finding.parameters == ("body.weight", "body.bias")
    assert lines(finding) == {"backward": 41, "step": 43}
    assert finding.evidence["modules"] == ["body"]


def test_wording(tell: Tell) -> None:
    """Message and fix."""
    story = tell(**PARTS)
    train(story, steps=3)
    assert story.found("GD201").message == (
        "No optimizer owns body.weight and body.bias (in `body`): `loss.backward()` (train.py:41) computes "
        "gradients for them in every window, 3 windows so far, and no step will ever change them."
    )
    assert story.found("GD201").fix == (
        "Give them to `optimizer` (`add_param_group`, or when you build it), or freeze them with "
        "`requires_grad_(False)`."
    )


def test_parameters_updated_by_hand_are_right(tell: Tell) -> None:
    """A multiplier that the program moves itself, beside an optimizer."""
    story = tell(**PARTS)
    for _ in range(9):
        train(story, steps=1)
        story.move(("body.weight", "body.bias"))
    assert story.codes == []


def test_initialised_by_hand_before_training(tell: Tell) -> None:
    """The twin: what was changed before the first gradient has learnt nothing."""
    story = tell(**PARTS)
    story.move(("body.weight", "body.bias"))
    train(story, steps=3)
    assert story.codes == ["GD201"]


def test_another_module_that_nobody_trains_is_right(tell: Tell) -> None:
    """A loss network or a target: all of it is in no optimizer."""
    story = tell(**PARTS)
    for _ in range(9):
        story.forward(("head.weight",), module="model")
        story.forward(("body.weight", "body.bias"), module="perceptual")
        story.backward()
        story.step()
        story.clear(params=None)
    assert story.codes == []


def test_frozen_parameters_are_right(tell: Tell) -> None:
    """Frozen says: on purpose."""
    story = tell(**PARTS)
    story.freeze(("body.weight", "body.bias"))
    train(story, steps=9, params=("head.weight",))
    assert story.codes == []
