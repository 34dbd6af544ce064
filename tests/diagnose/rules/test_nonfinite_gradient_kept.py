"""GD111: NaN that survives a skipped step."""

from __future__ import annotations

import pytest

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
        "fc1.bias in step 1, no step used it and nothing cleared it, and now `loss.backward()` "
        "(train.py:41) has added to it."
    )
    assert story.found("GD111").fix == (
        "Call `optimizer.zero_grad()` also where the step is skipped, so that it runs before each "
        "`loss.backward()` (train.py:41)."
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


def gan(first_window_bad: bool, *, cleared: bool) -> Story:
    story = Story({"opt_d": ["d"], "opt_g": ["g"]})
    for window in range(4):
        bad = window == (0 if first_window_bad else 2)
        if cleared:
            story.clear("opt_d")
        story.backward(["d"], at=50, nonfinite=(0,) if bad else ())
        story.step("opt_d", at=51, skipped=bad)
        story.clear("opt_g")
        for _ in range(2):
            story.backward(["d", "g"], at=60, nonfinite=(0,) if bad else ())
        story.step("opt_g", at=61)
        if not cleared and not bad:
            story.clear("opt_d")
    return story


@pytest.mark.parametrize("first_window_bad", [True, False])
def test_another_networks_backward_may_add_to_what_is_cleared_later(first_window_bad: bool) -> None:
    """The generator's backward runs through the discriminator, which clears before its own."""
    assert gan(first_window_bad, cleared=True).alarms == []


@pytest.mark.parametrize("first_window_bad", [True, False])
def test_the_leftover_is_found_at_the_discriminators_own_backward(first_window_bad: bool) -> None:
    """The twin: nobody clears after the refused step."""
    story = gan(first_window_bad, cleared=False)
    (role,) = story.found("GD111").roles
    assert role.site.line == 50


def test_two_backwards_for_one_step(tell: Tell) -> None:
    """A discriminator's loss on real and on fake data: the second of them is the one known by its step."""
    story = tell()
    for bad in (False, True, True):
        story.backward(at=50, nonfinite=(0,) if bad else ())
        story.backward(at=52, nonfinite=(0,) if bad else ())
        if not bad:
            story.step()
            story.clear("optimizer")
    assert story.codes == ["GD111"]
