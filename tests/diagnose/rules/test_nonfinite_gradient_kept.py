"""GD111: NaN that survives a skipped step."""

from __future__ import annotations

from tests.diagnose.story import Lines, Story, Tell


def good(story: Story) -> None:
    story.backward()
    story.step()
    story.clear("optimizer")


def test_skip_path_forgets_to_clear_after_a_clip(tell: Tell, lines: Lines) -> None:
    """The clip saw NaN, the step was skipped, the next backward adds to it."""
    story = tell()
    story.backward(nonfinite=(0, 1))
    story.clip()
    story.backward(nonfinite=(0, 1))
    finding = story.found("GD111")
    assert (finding.parameters, lines(finding)) == (("fc1.weight", "fc1.bias"), {"backward": 41})


def test_wording(tell: Tell) -> None:
    """Message and fix."""
    story = tell()
    good(story)
    story.backward(nonfinite=(0, 1))
    story.backward(nonfinite=(0, 1))
    assert story.found("GD111").message == (
        "A gradient with NaN or inf survived: `loss.backward()` (train.py:41) left it in fc1.weight and "
        "fc1.bias in "
        "step 1, no step used it and nothing cleared it, and now `loss.backward()` (train.py:41) has "
        "added to it."
    )
    assert story.found("GD111").fix == (
        "Call `optimizer.zero_grad()` also where the step is skipped, so that it runs before each "
        "`loss.backward()` "
        "(train.py:41)."
    )


def test_fused_step_that_skipped_itself(tell: Tell) -> None:
    """The fused kernel left the weights alone, nobody cleared."""
    story = tell()
    story.backward(nonfinite=(0,))
    story.step(skipped=True)
    story.backward(nonfinite=(0,))
    assert story.codes == ["GD111"]


def test_cleared_on_the_skip_path_is_right(tell: Tell) -> None:
    """The nearest correct program."""
    story = tell()
    for bad in (False, True, True, False):
        story.backward(nonfinite=(0,) if bad else ())
        story.clip()
        if not bad:
            story.step()
        story.clear("optimizer")
    assert story.codes == []


def test_inside_a_window_it_is_not_over(tell: Tell) -> None:
    """An accumulation goes on after a bad micro-batch; what happens at its end counts."""
    story = tell()
    for _ in range(2):
        for _ in range(4):
            story.backward()
        story.step()
        story.clear("optimizer")
    for _ in range(4):
        story.backward(nonfinite=(0,))
    story.clear("optimizer")
    assert story.codes == []


def test_without_any_proof_it_waits(tell: Tell) -> None:
    """The first window of a run may be long."""
    story = tell()
    for _ in range(3):
        story.backward(nonfinite=(0,))
    assert story.codes == []
