"""GD103: a clear between backward and step."""

from __future__ import annotations

from typing import Any

import pytest

from tests.diagnose.story import Lines, Story, Tell


def wrong(story: Story, **clear: Any) -> None:
    story.backward()
    story.clear("optimizer", at=42, **clear)
    story.enter()


@pytest.mark.parametrize("to_none", [True, False])
def test_fires_at_the_step(tell: Tell, lines: Lines, to_none: bool) -> None:
    """The step, the clear and the backward are named, whether None or zero is left."""
    story = tell()
    wrong(story, to_none=to_none)
    assert lines(story.found("GD103")) == {"backward": 41, "zero_grad": 42, "step": 43}
    assert story.codes == ["GD103"]


def test_wording(tell: Tell) -> None:
    """Message and fix."""
    story = tell()
    wrong(story)
    assert story.found("GD103").message == (
        "`optimizer.step()` found only cleared gradients: `loss.backward()` (train.py:41) wrote those of "
        "fc1.weight, fc1.bias and 2 more, then `optimizer.zero_grad()` (train.py:42) set them to None "
        "before the step could use them."
    )
    assert story.found("GD103").fix == (
        "Move `optimizer.zero_grad()` (train.py:42) in front of `loss.backward()` (train.py:41), or behind "
        "`optimizer.step()` (train.py:43)."
    )


def test_clear_noticed_without_a_call(tell: Tell) -> None:
    """`grad.data.zero_()` is told by where it was noticed."""
    story = tell()
    story.backward()
    story.clear("optimizer", at=None, how="zeroed", to_none=False)
    story.enter()
    assert story.codes == ["GD103"]


def test_clear_before_the_backward_is_right(tell: Tell) -> None:
    """The nearest correct program."""
    story = tell()
    for _ in range(3):
        story.clear("optimizer", at=42)
        story.backward()
        story.step()
    assert story.codes == []


def test_clearing_bad_gradients_and_stepping_anyway_is_a_skip(tell: Tell) -> None:
    """A step on None does nothing: some programs skip this way."""
    story = tell()
    story.backward(nonfinite=(0,))
    story.clear("optimizer")
    story.step()
    assert story.codes == []


def test_part_cleared_is_not_this(tell: Tell) -> None:
    """If something is left to apply the step is no empty one."""
    story = tell()
    story.backward()
    story.clear(params=("fc1.weight",))
    story.step()
    assert "GD103" not in story.codes


def test_used_by_another_optimizer_in_between_is_not_this(tell: Tell) -> None:
    """Gradients that were applied before they were cleared are no loss."""
    story = tell(optimizers={"opt_a": ("w",), "opt_b": ("w",)})
    story.backward()
    story.step("opt_a")
    story.clear("opt_a")
    story.step("opt_b")
    assert "GD103" not in story.codes


def test_a_clear_by_hand_has_no_line_of_its_own(tell: Tell, lines: Lines) -> None:
    """It is said to lie in front of the line where it was noticed, and is not taken for that line."""
    story = tell()
    story.backward()
    story.clear("optimizer", at=None, how="set to None")
    story.step()
    finding = story.found("GD103")
    assert lines(finding) == {"backward": 41, "step": 43}
    assert "then the clear in front of `loss.backward()` (train.py:41) set them to None" in finding.message
    assert finding.fix.startswith("Move that clear in front of")


def test_accumulated_backwards_are_cleared_behind_the_step(tell: Tell) -> None:
    """In front of each backward a clear would lose all but the last."""
    story = tell()
    for _ in range(4):
        story.backward()
    story.clear("optimizer", at=42)
    story.step()
    assert story.found("GD103").fix == (
        "Move `optimizer.zero_grad()` (train.py:42) behind `optimizer.step()` (train.py:43)."
    )
