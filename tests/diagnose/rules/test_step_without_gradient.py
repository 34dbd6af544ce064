"""GD107: a step with nothing new to apply."""

from __future__ import annotations

from tests.diagnose.story import Lines, Tell


def test_step_called_twice(tell: Tell, lines: Lines) -> None:
    """The second step applies the same gradients once more."""
    story = tell()
    story.clear("optimizer")
    story.backward()
    story.step()
    story.enter(at=44)
    assert lines(story.found("GD107")) == {"step": 44}
    assert story.codes == ["GD107"]


def test_wording_of_old_gradients(tell: Tell) -> None:
    """It says since when nothing was written."""
    story = tell()
    story.backward()
    story.step()
    story.step(at=44)
    assert story.found("GD107").message == (
        "`optimizer.step()` ran, but no backward wrote any gradient of its 4 parameters since "
        "`optimizer.step()` (train.py:43): it applied 4 old ones once more."
    )
    assert story.found("GD107").fix == (
        "Call `optimizer.step()` at train.py:44 only after a backward that writes its gradients."
    )


def test_no_backward_at_all(tell: Tell) -> None:
    """All gradients are None, step after step."""
    story = tell()
    for _ in range(5):
        story.step()
    assert story.found("GD107").message == (
        "`optimizer.step()` ran 3 times with nothing to apply: none of its 4 parameters had a gradient, "
        "because no backward wrote one since the step before."
    )


def test_an_empty_step_now_and_then_changes_nothing(tell: Tell) -> None:
    """A first dry run, a batch without a loss: a step skips what has no gradient."""
    story = tell()
    for number in range(12):
        story.clear("optimizer")
        if number % 3:
            story.backward()
        story.step()
    assert story.codes == []


def test_a_backward_before_each_step_is_right(tell: Tell) -> None:
    """The nearest correct program."""
    story = tell()
    for _ in range(3):
        story.clear("optimizer")
        story.backward()
        story.step()
    assert story.codes == []


def test_gradients_assigned_by_hand_are_new(tell: Tell) -> None:
    """Manual gradients are gradients."""
    story = tell()
    for _ in range(3):
        story.edit(how="assigned")
        story.step()
        story.clear("optimizer")
    assert story.codes == []


def test_closures_write_inside(tell: Tell) -> None:
    """A closure's step starts without gradients."""
    story = tell()
    for _ in range(2):
        begin = story.enter(closure=True)
        story.clear("optimizer")
        story.backward(inside_step=begin)
        story.leave(begin)
    assert story.codes == []


def test_dry_run_with_rate_zero_changes_nothing(tell: Tell) -> None:
    """A step at learning rate zero only sets up the optimizer's state."""
    story = tell()
    story.step(lr=(0.0,))
    assert story.codes == []


def test_gradients_that_were_there_before_are_not_judged(tell: Tell) -> None:
    """A watch that begins between backward and step has not seen the write."""
    story = tell()
    story.step(ready=story.set(None))
    assert story.codes == []
