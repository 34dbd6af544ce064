"""GD310: a reentrant checkpoint over inputs that want no gradient."""

from __future__ import annotations

from graddebug.records import CheckpointCut
from tests.diagnose.story import Lines, Story, Tell

INSIDE, OUTSIDE = ("block.weight", "block.bias"), ("head.weight",)


def window(story: Story, *, written: tuple[str, ...] = OUTSIDE, cut: tuple[str, ...] = INSIDE) -> None:
    """Forward, backward and step."""
    source = "h = checkpoint(block, x)"
    story.tell(CheckpointCut, at=30, source=source, params=story.set(cut))
    story.backward(written)
    story.step()
    story.clear("optimizer")


def test_what_is_inside_is_named(tell: Tell, lines: Lines) -> None:
    """From the second step on; wording."""
    story = tell(*INSIDE, *OUTSIDE)
    window(story)
    assert story.codes == []
    window(story)
    finding = story.found("GD310")
    assert finding.parameters == INSIDE
    assert lines(finding) == {"step": 43, "checkpoint": 30}
    assert finding.message == (
        "block.weight and block.bias get no gradient: they run inside `h = checkpoint(block, x)` (train.py:30), a "
        "reentrant checkpoint of whose inputs none requires a gradient, and so nothing in there is part of the "
        "graph. `optimizer.step()` (train.py:43) found nothing to apply to them in 2 windows."
    )


def test_it_explains_that_they_never_get_a_gradient(tell: Tell) -> None:
    """One cause, one finding, to the end of the run."""
    story = tell(*INSIDE, *OUTSIDE)
    for _ in range(30):
        story.used(INSIDE)
        window(story)
    story.end()
    assert story.codes == ["GD310"]


def test_a_forward_that_is_not_trained_beside_one_that_is(tell: Tell) -> None:
    """Their gradients come another way."""
    story = tell(*INSIDE, *OUTSIDE)
    for _ in range(5):
        window(story, written=INSIDE + OUTSIDE)
    assert story.codes == []


def test_now_and_then_is_right(tell: Tell) -> None:
    """A window in which the block only served another loss."""
    story = tell(*INSIDE, *OUTSIDE)
    for _ in range(5):
        window(story)
        window(story, written=INSIDE + OUTSIDE, cut=())
    assert story.codes == []
