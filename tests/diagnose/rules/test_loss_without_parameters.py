"""GD301: backward on a leaf."""

from __future__ import annotations

from tests.diagnose.story import Lines, Tell


def test_leaf_root(tell: Tell, lines: Lines) -> None:
    """It fires at the backward, and the empty step is not told again."""
    story = tell()
    for _ in range(5):
        story.backward((), leaf_root=True, loss=2.3)
        story.step()
    finding = story.found("GD301")
    assert (lines(finding), finding.count) == ({"backward": 41}, 5)
    assert story.codes == ["GD301"]


def test_wording(tell: Tell) -> None:
    """Message and fix."""
    story = tell()
    story.backward((), leaf_root=True)
    assert story.found("GD301").message == (
        "`loss.backward()` (train.py:41) starts at a leaf tensor: no operation made it, so no parameter "
        "gets a gradient from it. It was rebuilt from numbers, or detached and then marked with "
        "`requires_grad_()`."
    )
    assert story.found("GD301").fix.startswith(
        "Remove `requires_grad`, and keep the loss before `loss.backward()`"
    )


def test_a_parameter_as_root_is_right(tell: Tell) -> None:
    """A regulariser that is a parameter itself."""
    story = tell()
    story.backward(("fc1.bias",), leaf_root=True)
    story.step()
    assert story.codes == []


def test_a_loss_with_a_graph_is_right(tell: Tell) -> None:
    """The nearest correct program."""
    story = tell()
    story.backward()
    story.step()
    assert story.codes == []
