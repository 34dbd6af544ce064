"""GD309: parameters change between a forward and its backward."""

from __future__ import annotations

from tests.diagnose.story import Lines, Tell

TEXT = "one of the variables needed for gradient computation has been modified by an inplace operation"


def test_the_step_between(tell: Tell, lines: Lines) -> None:
    """It is named, with the op that kept the values."""
    story = tell()
    story.backward(at=41)
    story.step(at=43)
    fields = {"params": story.set(("fc2.weight",)), "op": "AddmmBackward0", "module": "fc2", "scaler": None}
    story.error("backward", TEXT, at=50, optimizer=None, **fields)
    assert lines(story.found("GD309")) == {"backward": 50, "step": 43}
    assert story.found("GD309").parameters == ("fc2.weight",)
    assert "kept by AddmmBackward0 in fc2" in story.found("GD309").message


def test_changed_by_hand(tell: Tell) -> None:
    """No step is blamed."""
    story = tell()
    story.backward()
    story.step()
    story.move(("fc2.weight",))
    story.error("backward", TEXT, at=50, optimizer=None, params=story.set(("fc2.weight",)))
    assert "No optimizer's step did." in story.found("GD309").message


def test_an_activation_is_nobodys_parameter(tell: Tell) -> None:
    """Nothing is known of it."""
    story = tell()
    story.error("backward", TEXT, at=50, optimizer=None)
    assert story.codes == []


def test_a_fused_step_that_torch_does_not_notice(tell: Tell, lines: Lines) -> None:
    """The gradient is wrong without an error."""
    story = tell()
    story.backward(at=41)
    story.step(at=43)
    story.clear("optimizer")
    story.backward(at=50, outdated=story.set(("fc2.weight",)))
    assert lines(story.found("GD309")) == {"backward": 50, "step": 43}
    assert "computed with the new values" in story.found("GD309").message


def test_a_fused_step_that_moved_nothing(tell: Tell) -> None:
    """Skipped by the scaler, or with a learning rate of zero."""
    story = tell()
    story.backward()
    story.step()
    story.clear("optimizer")
    story.backward()
    story.step(skipped=True)
    story.backward(outdated=story.set(("fc2.weight",)))
    story.step(lr=(0.0,))
    story.clear("optimizer")
    story.backward(outdated=story.set(("fc2.weight",)))
    assert "GD309" not in story.codes
