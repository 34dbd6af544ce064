"""GD308: gradients that keep their graph."""

from __future__ import annotations

from tests.diagnose.story import Lines, Tell


def test_create_graph_in_backward(tell: Tell, lines: Lines) -> None:
    """The backward and the step are named."""
    story = tell()
    story.backward(create_graph=True)
    story.step(holds_graph=(0, 1))
    assert story.codes == []
    story.forward()
    finding = story.found("GD308")
    assert (finding.parameters, lines(finding)) == (("fc1.weight", "fc1.bias"), {"backward": 41, "step": 43})
    assert finding.message == (
        "After `optimizer.step()` the gradients of fc1.weight and fc1.bias still hold the graph of "
        "`loss.backward()` "
        "(train.py:41), and nothing cleared them before the next graph was made: parameter, gradient and "
        "graph keep each other alive, with all activations."
    )
    assert finding.fix == (
        "Use `torch.autograd.grad(..., create_graph=True)` instead of `loss.backward()` (train.py:41), or "
        "call "
        "`optimizer.zero_grad()` right after the step."
    )


def test_autograd_grad_is_right(tell: Tell) -> None:
    """A gradient penalty by autograd.grad leaves plain gradients."""
    story = tell()
    for _ in range(3):
        story.backward(accumulates=False, create_graph=True, at=30)
        story.backward()
        story.step()
        story.clear("optimizer")
    assert story.codes == []


def test_a_clear_right_after_the_step_is_right(tell: Tell) -> None:
    """Methods that need the graph of the gradients cut it off once they have stepped."""
    story = tell()
    for _ in range(3):
        story.forward()
        story.backward(create_graph=True)
        story.step(holds_graph=(0, 1))
        story.clear("optimizer")
    assert story.codes == []


def test_without_a_watched_module_the_next_backward_shows_it(tell: Tell) -> None:
    """A functional model has no forward to see."""
    story = tell()
    story.backward(create_graph=True)
    story.step(holds_graph=(0, 1))
    story.backward(create_graph=True)
    assert "GD308" in story.codes
