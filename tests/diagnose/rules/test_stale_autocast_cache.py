"""GD313: a step inside an autocast region, and a forward after it in the same one."""

from __future__ import annotations

from tests.diagnose.story import MODEL, Lines, Tell


def test_the_step_that_changed_them_is_named(tell: Tell, lines: Lines) -> None:
    """At the first backward after it; wording."""
    story = tell()
    story.backward()
    story.step()
    story.clear("optimizer")
    assert story.codes == []
    story.backward(stale_casts=story.set(MODEL))
    finding = story.found("GD313")
    assert finding.parameters == MODEL
    assert lines(finding) == {"step": 43, "backward": 41}
    assert finding.message == (
        "`optimizer.step()` (train.py:43) changed fc1.weight, fc1.bias and 2 more inside an autocast region, and "
        "the forward after it, in the same region, ran with the copies that autocast had made before: "
        "`loss.backward()` (train.py:41) computed the gradients of weights that are no longer there."
    )


def test_a_step_that_moved_nothing_is_right(tell: Tell) -> None:
    """A dry run with a rate of 0."""
    story = tell()
    story.backward()
    story.step(lr=(0.0,))
    story.clear("optimizer")
    story.backward(stale_casts=story.set(MODEL))
    assert story.codes == []
