"""GD414: every skipped step, told calmly."""

from __future__ import annotations

from graddebug.records import ScalerStep
from tests.diagnose.scaled import Scaled, log_of_zero, overflow
from tests.diagnose.story import Lines, Story, Tell


def test_wording_with_rate_streak_and_place(tell: Tell, lines: Lines) -> None:
    """The finding speaks of the newest skip."""
    scaled = Scaled(tell())
    for bad in (True, True, False, False, True):
        scaled.window(bad=bad, origin=overflow())
    finding = scaled.story.found("GD414")
    assert (finding.count, finding.first_step, finding.last_step) == (3, 0, 4)
    assert lines(finding) == {"step": 44, "origin": 12}
    assert finding.message == (
        "`scaler.step(optimizer)` (train.py:44) found NaN or inf in the gradients of fc1.weight, fc1.bias and 2 "
        "more at a scale of 16,384 and left the weights alone: 3 of 5 steps skipped so far, 2 in a row at most. "
        "Inf is born in the backward of ToCopy in head, at `y = torch.log(p)` (train.py:12)."
    )
    assert finding.fix == "Nothing, as long as it is rare: the scaler has lowered its scale and goes on."


def test_the_scale_that_fits(tell: Tell) -> None:
    """Known from an earlier measurement, as a power of two."""
    scaled = Scaled(tell(), scale=1024.0)
    scaled.half(absmax=8.0)
    scaled.window()
    scaled.scale = 2.0**24
    scaled.window(bad=True)
    finding = scaled.story.found("GD414")
    assert finding.evidence["scale_that_fits"] == 2.0**22
    assert "gradients fit up to a scale of 4,194,304." in finding.message


def test_what_no_scale_prevents_is_said(tell: Tell) -> None:
    """NaN born in forward is not the scale's doing."""
    scaled = Scaled(tell())
    scaled.window(bad=True, origin=log_of_zero())
    finding = scaled.story.found("GD414")
    assert finding.message.endswith("(train.py:12). No scale prevents that.")
    assert finding.fix.startswith("Mend the line")


def test_a_loss_that_is_nan_without_measured_nodes(tell: Tell) -> None:
    """The loss alone tells."""
    scaled = Scaled(tell())
    scaled.window(bad=True, loss=float("nan"))
    assert "The loss itself is nan. No scale prevents that." in scaled.story.found("GD414").message


def test_first_steps_name_a_scale_to_begin_with(tell: Tell) -> None:
    """All steps so far were skipped, because the first scale is too large."""
    scaled = Scaled(tell())
    for _ in range(3):
        scaled.window(bad=True)
    assert (
        scaled.story.found("GD414").fix == "Nothing; to begin without skips, `GradScaler(init_scale=8192)`."
    )


def test_nothing_skipped(tell: Tell) -> None:
    """The twin."""
    scaled = Scaled(tell())
    for _ in range(5):
        scaled.window()
    assert scaled.story.codes == []


def test_two_optimizers_on_one_line_are_two_findings() -> None:
    """A loop over optimizers steps all of them there."""
    story = Story({"opt_d": ["d"], "opt_g": ["g"]})
    for optimizer in (0, 1, 1):
        story.tell(ScalerStep, at=44, scaler=0, optimizer=optimizer, skipped=True, scale=8.0)
    assert [(f.rule, f.count) for f in story.findings] == [("GD414", 1), ("GD414", 2)]


def test_no_scale_below_one_is_named(tell: Tell) -> None:
    """When the scale has come so far, it was not the scale."""
    scaled = Scaled(tell(), scale=2.0)
    for _ in range(3):
        scaled.window(bad=True)
    assert "init_scale" not in scaled.story.found("GD414").fix
