"""GD102: gradients cleared before use, window after window."""

from __future__ import annotations

from typing import Any

import pytest

from tests.diagnose.story import Lines, Story, Tell


def micro_batches(story: Story, *, windows: int, n: int = 4, **clear: Any) -> None:
    for _ in range(windows):
        for _ in range(n):
            story.clear("optimizer", at=38, **clear)
            story.backward()
        story.step()


def test_zero_grad_in_the_micro_batch_loop(tell: Tell, lines: Lines) -> None:
    """All but the last backward of each window are thrown away."""
    story = tell()
    micro_batches(story, windows=2)
    finding = story.found("GD102")
    assert lines(finding) == {"backward": 41, "zero_grad": 38, "step": 43}
    assert finding.evidence == {"discarded": 3, "backwards_per_window": 4}


def test_wording(tell: Tell) -> None:
    """The message counts, the fix says where to."""
    story = tell()
    micro_batches(story, windows=2)
    assert story.found("GD102").message == (
        "3 of 4 backwards of each window are thrown away: `optimizer.zero_grad()` (train.py:38) clears the "
        "gradients of fc1.weight, fc1.bias and 2 more before `optimizer.step()` has used them, so that "
        "each step uses the last backward only."
    )
    assert story.found("GD102").fix == (
        "Clear only after a step: move `optimizer.zero_grad()` (train.py:38) behind `optimizer.step()` "
        "(train.py:43), into the same branch."
    )


def test_windows_of_two(tell: Tell) -> None:
    """The smallest window, with the one clear of the program, counts too."""
    story = tell()
    micro_batches(story, windows=4, n=2)
    assert "GD102" in story.codes


def test_cleared_after_the_step_is_right(tell: Tell) -> None:
    """Accumulation done right throws nothing away."""
    story = tell()
    for _ in range(5):
        for _ in range(4):
            story.backward()
        story.step()
        story.clear("optimizer")
    assert story.codes == []


def epochs(story: Story, *, number: int, batches: int = 10, n: int = 4) -> None:
    for _ in range(number):
        story.clear("optimizer", at=30)
        for i in range(batches):
            story.backward()
            if (i + 1) % n == 0:
                story.step()
                story.clear("optimizer", at=44)


def test_tail_cleared_at_each_epoch(tell: Tell, lines: Lines) -> None:
    """Two of ten batches never reach a step."""
    story = tell()
    epochs(story, number=4)
    finding = story.found("GD102")
    assert lines(finding) == {"backward": 41, "zero_grad": 30, "step": 43}
    assert finding.message == (
        "`optimizer.zero_grad()` (train.py:30) cleared gradients of fc1.weight, fc1.bias and 2 more that "
        "no step had used: `optimizer` steps after 4 backwards, and 2 backwards left over from an "
        "unfinished window were thrown away, again and again."
    )


def test_epochs_without_a_tail_are_right(tell: Tell) -> None:
    """Eight batches fill two windows of four."""
    story = tell()
    epochs(story, number=4, batches=8)
    assert story.codes == []


@pytest.mark.parametrize("n", [1, 4])
def test_windows_skipped_on_purpose(tell: Tell, n: int) -> None:
    """A whole window that is cleared instead of applied is the user's decision."""
    story = tell()
    for window in range(20):
        for _ in range(n):
            story.backward()
        if window % 5 != 4:
            story.step()
        story.clear("optimizer")
    assert "GD102" not in story.codes


def test_nonfinite_gradients_may_be_thrown_away(tell: Tell) -> None:
    """Clearing a bad gradient is right, however often."""
    story = tell()
    for _ in range(6):
        for bad in (True, True, False):
            story.clear("optimizer")
            story.backward(nonfinite=story.set(None) if bad else ())
        story.step()
    assert "GD102" not in story.codes


@pytest.mark.parametrize(
    "fields",
    [{"at": 20}, {"other_leaves": 1}, {"written_in_eval": (0, 1, 2, 3)}],
    ids=["another line", "input gradients", "in eval mode"],
)
def test_auxiliary_backwards_are_silent(tell: Tell, fields: Any) -> None:
    """Adversarial passes, Grad-CAM, FGSM: their parameter gradients are not wanted."""
    story = tell()
    for _ in range(6):
        story.backward(**fields)
        story.clear("optimizer")
        story.backward()
        story.step()
        story.clear("optimizer")
    assert story.codes == []


def test_sam_with_one_backward_line_is_silent(tell: Tell) -> None:
    """SAM's first pass is cleared by another line than its second."""
    story = tell()
    for _ in range(6):
        story.backward()
        story.clear("optimizer", at=80)
        story.backward()
        story.step()
        story.clear("optimizer", at=90)
    assert story.codes == []


def one_helper(story: Story, *, moved: bool) -> Story:
    for _ in range(6):
        story.clear("optimizer")
        story.backward()
        story.clear("optimizer")
        if moved:
            story.move()
        story.backward()
        story.step()
    return story


def test_sam_through_one_helper_is_silent(tell: Tell) -> None:
    """Both passes clear at one line, and the weights are moved with the first one's gradients."""
    assert one_helper(tell(), moved=True).codes == []


def test_a_helper_called_twice_for_nothing(tell: Tell) -> None:
    """The twin: nothing was done with the first gradients."""
    assert one_helper(tell(), moved=False).codes == ["GD102"]


def test_clears_inside_a_step_are_silent(tell: Tell) -> None:
    """A closure may run and clear as often as it likes."""
    story = tell()
    for _ in range(4):
        begin = story.enter(closure=True)
        for _ in range(5):
            story.clear("optimizer")
            story.backward(inside_step=begin)
        story.leave(begin)
        story.clear("optimizer")
    assert story.codes == []


def test_gradient_surgery_is_silent(tell: Tell) -> None:
    """Each task's gradients are taken, cleared, and one assigned by hand (PCGrad)."""
    story = tell()
    for _ in range(6):
        for _ in range(3):
            story.clear("optimizer")
            story.backward()
        story.edit(how="assigned")
        story.step()
        story.clear("optimizer")
    assert story.codes == []
