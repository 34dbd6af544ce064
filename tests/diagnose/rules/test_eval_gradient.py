"""GD105: gradients of an evaluation, applied in training."""

from __future__ import annotations

from tests.diagnose.story import Lines, Story, Tell


def leak(story: Story, *, training: bool = True) -> None:
    everything = story.set(None)
    story.backward(at=20, written_in_eval=everything)
    story.backward(at=41)
    story.step(in_train_mode=everything if training else ())


def test_validation_backward_leaks(tell: Tell, lines: Lines) -> None:
    """The line in eval mode and the step are named."""
    story = tell()
    leak(story)
    assert lines(story.found("GD105")) == {"backward": 20, "step": 43}
    assert story.codes == ["GD105"]


def test_wording(tell: Tell) -> None:
    """Message and fix."""
    story = tell()
    leak(story)
    assert story.found("GD105").message == (
        "`optimizer.step()` in train mode applied gradients that were written in eval mode: "
        "`loss.backward()` (train.py:20) ran 1 time while the module was in eval mode, and wrote "
        "fc1.weight, fc1.bias and 2 more."
    )
    assert story.found("GD105").fix == (
        "Wrap the evaluation around `loss.backward()` (train.py:20) in `torch.no_grad()` without its "
        "backward, or call `optimizer.zero_grad()` after it."
    )


def test_training_in_eval_mode_is_right(tell: Tell) -> None:
    """Some programs train in eval mode on purpose."""
    story = tell()
    leak(story, training=False)
    assert story.codes == []


def test_cleared_before_training_goes_on_is_right(tell: Tell) -> None:
    """What was cleared was not applied."""
    story = tell()
    everything = story.set(None)
    story.backward(at=20, written_in_eval=everything)
    story.clear("optimizer")
    story.backward(at=41)
    story.step(in_train_mode=everything)
    assert story.codes == []
