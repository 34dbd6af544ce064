"""GD507: gradients that grow by orders of magnitude."""

from __future__ import annotations

import math

import pytest

from tests.diagnose.story import Lines, Story, Tell


def train(story: Story, norms: list[float], losses: list[float], *, moved: float = 1e-3) -> Story:
    for norm, loss in zip(norms, losses, strict=True):
        story.clear("optimizer")
        story.backward(loss=loss)
        story.step()
        story.measured(loss=loss, grad_norm=norm, weight_norm=1.0, update_ratio=moved)
    return story


def test_growth_that_stays(tell: Tell, lines: Lines) -> None:
    """A thousandfold norm, a worse loss, weights thrown about."""
    story = train(tell(), [1.0] * 10 + [1e4] * 10, [1.0] * 10 + [50.0] * 10, moved=0.5)
    finding = story.found("GD507")
    assert lines(finding) == {"backward": 41, "step": 43}
    assert finding.message == (
        "The gradients that `optimizer` applies have grown 1e+04 times: their norm was 2 in its first steps and is "
        "2e+04 from step 10 on. The loss is worse than at the beginning (50, it was 1). The growth is largest in "
        "fc1.weight, fc1.bias and 2 more."
    )
    assert finding.fix == (
        "Lower the learning rate of `optimizer` (it is 0.1), or clip before the step: "
        "`clip_grad_norm_(parameters, 4)`."
    )


@pytest.mark.parametrize(
    ("norm", "loss", "moved"),
    [(500.0, 50.0, 0.5), (1e4, 1.5, 0.5), (1e4, 50.0, 1e-3)],
    ids=["grows little", "loss no worse", "weights stay"],
)
def test_growth_that_does_no_harm(tell: Tell, norm: float, loss: float, moved: float) -> None:
    """One of the three signs is missing."""
    story = train(tell(), [1.0] * 10 + [norm] * 30, [1.0] * 10 + [loss] * 30, moved=moved)
    assert story.alarms == []


def test_one_huge_step_among_others(tell: Tell) -> None:
    """Growth must stay."""
    norms = [1.0] * 10 + [1e9, *[1.0] * 9] * 2
    assert train(tell(), norms, [1.0] * 10 + [50.0] * 20, moved=0.5).alarms == []


def test_growth_until_nothing_is_left(tell: Tell) -> None:
    """Too fast for a stretch: each step at least doubles the norm, then all is NaN."""
    story = train(tell(), [1, 30, 1e3, 1e5, 1e9] + [math.nan] * 15, [1.0] * 5 + [math.nan] * 15)
    finding = story.found("GD507")
    assert (finding.first_step, finding.evidence["overflow_at"]) == (0, 5)


def test_nan_out_of_the_blue(tell: Tell) -> None:
    """That is no explosion."""
    assert train(tell(), [1.0] * 5 + [math.nan] * 15, [1.0] * 5 + [math.nan] * 15).alarms == []


def test_a_program_that_clips_is_told_so(tell: Tell) -> None:
    """The fix does not propose what is there."""
    story = tell()
    story.backward()
    story.clip()
    train(story, [1.0] * 10 + [1e4] * 10, [1.0] * 10 + [50.0] * 10, moved=0.5)
    assert "clip to a smaller norm" in story.found("GD507").fix
