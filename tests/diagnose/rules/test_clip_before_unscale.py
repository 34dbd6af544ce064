"""GD401: what is done to gradients while they carry the loss scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from graddebug.records import GradientsEdited, Unscaled
from tests.diagnose.story import Lines, Story, Tell, site

SCALE = 65536.0
Edit = Callable[[Story, float], None]


def unscale(story: Story, *, implicit: bool = False, **fields: Any) -> None:
    source = "scaler.step(optimizer)" if implicit else "scaler.unscale_(optimizer)"
    told: dict[str, Any] = {
        "params": story.set(None),
        "scale": SCALE,
        "implicit": implicit,
        "scaler": 0,
        "optimizer": 0,
    }
    story.tell(Unscaled, at=45 if implicit else 44, source=source, **(told | fields))


def clip(story: Story, norm: float, *, limit: float = 1.0, **fields: Any) -> None:
    """A seen clip of gradients whose true norm is ``norm``."""
    scaled = norm * SCALE
    factor = min(1.0, limit / scaled)
    told = {"max_norm": limit, "scale": SCALE, "factor": factor}
    story.clip(**told | {"norm_before": scaled, "norm_after": scaled * factor} | fields)


def edit(story: Story, **fields: Any) -> None:
    told: dict[str, Any] = {
        "params": story.set(None),
        "how": "in place",
        "noticed_at": site(44),
        "scale": SCALE,
    }
    story.tell(GradientsEdited, **(told | fields))


def clip_by_hand(story: Story, norm: float) -> None:
    scaled = norm * SCALE
    edit(story, factor=1 / scaled, norm_before=scaled, norm_after=1.0)


def clamp_by_hand(story: Story, norm: float) -> None:
    edit(story, pinned=0.5, norm_before=norm * SCALE, norm_after=1.5)


def run(story: Story, change: Edit, norms: Iterable[float] = (0.7, 3.1, 1.9, 0.4), **fields: Any) -> Story:
    for norm in norms:
        story.clear("optimizer")
        story.backward()
        change(story, norm)
        unscale(story, **fields)
        story.step(at=45)
    return story


def test_clip_in_front_of_unscale(tell: Tell, lines: Lines) -> None:
    """A seen clip is a proof at once, with both lines."""
    finding = run(tell(), clip).found("GD401")
    assert lines(finding) == {"clip": 42, "unscale": 44}
    assert (finding.first_step, finding.count) == (0, 4)
    assert finding.evidence["applied_norm"] == pytest.approx(1 / SCALE)


def test_wording(tell: Tell) -> None:
    """Message and fix."""
    finding = run(tell(), clip, norms=[0.7]).found("GD401")
    assert finding.message == (
        "`clip_grad_norm_(params, 1.0)` (train.py:42) clipped the gradients of fc1.weight, fc1.bias and 2 more "
        "to a norm of 1 while they were still scaled by 65,536. `scaler.unscale_(optimizer)` (train.py:44) "
        "divided by the scale only then: what the step applied has norm 1.53e-05, and before the clip the "
        "true gradients had 0.7."
    )
    assert finding.fix == (
        "Move `scaler.unscale_(optimizer)` (train.py:44) in front of `clip_grad_norm_(params, 1.0)` "
        "(train.py:42)."
    )


def test_without_a_call_of_unscale_the_step_is_named(tell: Tell, lines: Lines) -> None:
    """The scaler's step unscales where nobody has."""
    finding = run(tell(), clip, implicit=True).found("GD401")
    assert lines(finding) == {"clip": 42, "step": 45}
    assert finding.fix.startswith("Call `scaler.unscale_(optimizer)` before")


def test_fused_kernels_divide_themselves(tell: Tell) -> None:
    """No unscaling is told of, the step knows the scale."""
    story = tell()
    story.backward()
    clip(story, 0.7)
    story.step(grad_scale=SCALE)
    assert story.codes == ["GD401"]


def test_clip_by_hand_proves_itself_in_three_windows(tell: Tell, lines: Lines) -> None:
    """Other factors, the same norm."""
    assert run(tell(), clip_by_hand, norms=[0.7, 3.1]).codes == []
    finding = run(tell(), clip_by_hand).found("GD401")
    assert (finding.first_step, lines(finding)) == (2, {"unscale": 44})
    assert finding.message.startswith(
        "The gradients of fc1.weight, fc1.bias and 2 more were clipped by hand or out of sight (multiplied by "
        "8.03e-06 to a norm of 1, like 2 windows before, of other norms) while they were still scaled by 65,536."
    )


def test_clamp_by_hand_proves_itself_in_two_windows(tell: Tell) -> None:
    """Different elements at one magnitude, twice."""
    assert run(tell(), clamp_by_hand).found("GD401").first_step == 1


def test_clip_of_values_that_is_seen(tell: Tell) -> None:
    """Its limit is that of elements."""
    story = run(tell(), lambda s, n: clip(s, n, max_norm=None, clip_value=0.1, pinned=0.1, factor=None))
    assert "clipped elements of the gradients" in story.found("GD401").message
    assert "to ±0.1 while" in story.found("GD401").message


# --- right --------------------------------------------------------------------------------------


def average(story: Story, norm: float) -> None:
    edit(story, factor=0.25, norm_before=4 * norm * SCALE, norm_after=norm * SCALE)


def average_of_varying_number(story: Story, norm: float) -> None:
    edit(
        story, factor=1 / round(norm * 10), norm_before=norm * SCALE, norm_after=SCALE / 10 * (1 + norm / 99)
    )


def zero_some_rows(story: Story, norm: float) -> None:
    edit(story, factor=1.0, norm_before=norm * SCALE, norm_after=norm * SCALE * 0.8)


def project(story: Story, norm: float) -> None:
    edit(story, norm_before=norm * SCALE, norm_after=norm * SCALE * 0.5)


def clip_that_changes_nothing(story: Story, norm: float) -> None:
    clip(story, norm, limit=1e9)


def clip_to_a_scaled_limit(story: Story, norm: float) -> None:
    clip(story, norm, limit=0.25 * SCALE)


def clip_of_nan(story: Story, norm: float) -> None:
    clip(story, norm, factor=None, norm_before=None, norm_after=None, total_norm=float("nan"))


def clip_of_gradients_without_a_scale(story: Story, norm: float) -> None:
    story.clip(max_norm=1.0, total_norm=norm)


def unscale_by_hand_then_clip(story: Story, norm: float) -> None:
    edit(story, factor=1 / SCALE / 2, norm_before=norm * SCALE * 2, norm_after=norm)
    clip(story, norm, norm_before=norm, norm_after=1.0, factor=1 / norm)


@pytest.mark.parametrize(
    "change",
    [
        average,
        average_of_varying_number,
        zero_some_rows,
        project,
        clip_that_changes_nothing,
        clip_to_a_scaled_limit,
        clip_of_nan,
        clip_of_gradients_without_a_scale,
        unscale_by_hand_then_clip,
    ],
)
def test_what_commutes_with_the_scale_is_right(tell: Tell, change: Edit) -> None:
    """Whatever is multiplied, zeroed or taken away in proportion."""
    assert run(tell(), change).codes == []


def test_clip_after_unscale_is_right(tell: Tell) -> None:
    """The nearest correct program: capture measures nothing, for nothing carries a scale."""
    story = tell()
    for _ in range(3):
        story.clear("optimizer")
        story.backward()
        unscale(story)
        story.clip(max_norm=1.0, total_norm=3.0)
        story.step(at=45)
    assert story.codes == []


def test_a_limit_of_one_scale_is_not_right_for_another(tell: Tell) -> None:
    """5 is no limit made for a scale of 128."""
    story = tell()
    story.backward()
    clip(story, 0.7, limit=5.0, scale=128.0, norm_before=700.0, norm_after=5.0)
    unscale(story, scale=128.0)
    story.step()
    assert story.codes == ["GD401"]


def test_what_is_cleared_did_no_harm(tell: Tell) -> None:
    """Nothing was applied."""
    story = tell()
    story.backward()
    clip(story, 0.7)
    unscale(story)
    story.clear("optimizer")
    story.backward()
    unscale(story)
    story.step()
    assert "GD401" not in story.codes


def test_a_skipped_step_applied_nothing(tell: Tell) -> None:
    """A fused step is entered with NaN, too."""
    story = tell()
    story.backward()
    clip(story, 0.7)
    story.step(grad_scale=SCALE, nonfinite=(0,), skipped=True)
    assert "GD401" not in story.codes
