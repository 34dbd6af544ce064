"""GD308: gradients that keep their graph."""

from __future__ import annotations

from tests.diagnose.story import Lines, Tell


def test_create_graph_in_backward(tell: Tell, lines: Lines) -> None:
    """The backward and the step are named."""
    story = tell()
    story.backward(create_graph=True)
    story.step(holds_graph=(0, 1))
    finding = story.found("GD308")
    assert (finding.parameters, lines(finding)) == (("fc1.weight", "fc1.bias"), {"backward": 41, "step": 43})
    assert finding.message == (
        "After `optimizer.step()` the gradients of fc1.weight and fc1.bias still hold the graph of "
        "`loss.backward()` (train.py:41), and no second backward has gone through it: parameter, gradient "
        "and graph keep each other alive, with all activations."
    )
    assert finding.fix == (
        "Leave `create_graph=True` out of `loss.backward()` (train.py:41), or, where a term of the loss "
        "needs the gradients' graph, use `torch.autograd.grad(..., create_graph=True)` for it."
    )


def test_a_graph_that_was_used_and_not_cleared(tell: Tell) -> None:
    """A Hessian method that lets the old graph live until after the next one is made."""
    story = tell()
    for _ in range(2):
        story.forward()
        story.backward(create_graph=True)
        story.backward(accumulates=False)
        story.step(holds_graph=(0, 1))
    finding = story.found("GD308")
    assert "nothing cleared them before the next graph was made" in finding.message
    assert "call `optimizer.zero_grad()` right after the step." in finding.fix


def test_autograd_grad_is_right(tell: Tell) -> None:
    """A gradient penalty by autograd.grad leaves plain gradients."""
    story = tell()
    for _ in range(3):
        story.backward(accumulates=False, create_graph=True, at=30)
        story.backward()
        story.step()
        story.clear("optimizer")
    assert story.codes == []


def test_a_graph_that_was_used_and_cleared_is_right(tell: Tell) -> None:
    """Methods that need the graph of the gradients cut it off once they have stepped."""
    story = tell()
    for _ in range(3):
        story.forward()
        story.backward(create_graph=True)
        story.backward(accumulates=False)
        story.step(holds_graph=(0, 1))
        story.clear("optimizer")
    assert story.codes == []


def test_without_a_watched_module_the_next_backward_shows_it(tell: Tell) -> None:
    """A functional model has no forward to see."""
    story = tell()
    for _ in range(2):
        story.backward(create_graph=True)
        story.backward(accumulates=False)
        story.step(holds_graph=(0, 1))
    assert "GD308" in story.codes
