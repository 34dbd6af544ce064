"""GD409: skips that do not end."""

from __future__ import annotations

import math

import pytest

from graddebug.records import Operand, Origin
from tests.diagnose.scaled import BIRTH, Scaled, log_of_zero, overflow
from tests.diagnose.story import Lines, Tell


def fits(scaled: Scaled, largest: float, *, windows: int) -> list[str]:
    """Train with gradients that overflow above a scale; the alarms."""
    scaled.begin()
    for _ in range(windows):
        scaled.window(bad=scaled.scale > largest, origin=overflow())
    return scaled.story.alarms


@pytest.mark.parametrize("growth_interval", [5, 100, 2000])
@pytest.mark.parametrize("largest", [2.0**24, 2.0**12, 8.0, 1.0])
def test_dynamic_loss_scaling_is_no_alarm(tell: Tell, growth_interval: int, largest: float) -> None:
    """Overflows in the first steps, and a probe each time the scale has grown."""
    scaled = Scaled(tell(), growth_interval=growth_interval)
    assert fits(scaled, largest, windows=5000) == []
    assert set(scaled.story.codes) <= {"GD414", "GD501"}


def test_a_bad_batch_now_and_then_is_no_alarm(tell: Tell) -> None:
    """Its loss is NaN at any scale, and the next one is not."""
    scaled = Scaled(tell())
    for number in range(200):
        scaled.window(bad=number % 40 < 3, origin=log_of_zero(), loss=math.nan if number % 40 < 3 else 1.0)
    assert scaled.story.alarms == []


def test_no_scale_helps(tell: Tell, lines: Lines) -> None:
    """Five in a row that were born in forward."""
    scaled = Scaled(tell())
    for number in range(12):
        scaled.window(bad=number > 3, origin=log_of_zero())
    finding = scaled.story.found("GD409")
    assert (finding.first_step, finding.count, lines(finding)) == (8, 4, {"step": 44, "origin": 12})
    assert finding.message == (
        "`scaler.step(optimizer)` (train.py:44) has skipped 8 steps in a row because of NaN or inf, and the scale "
        "fell from 65,536 to 256. NaN is born in the forward of Log in head, at `y = torch.log(p)` (train.py:12): "
        "no scale helps. Left alone, it ends at 0, where the scaler multiplies gradients of 0 by 1/0 and lets the "
        "step write NaN into every weight."
    )
    assert finding.fix.startswith("Mend `y = torch.log(p)` (train.py:12)")


def test_a_loss_that_is_nan_is_enough(tell: Tell) -> None:
    """Without any measured node."""
    scaled = Scaled(tell())
    for _ in range(5):
        scaled.window(bad=True, loss=math.nan)
    assert "The loss itself is nan: no scale helps." in scaled.story.found("GD409").message


def test_born_backward_in_float32(tell: Tell) -> None:
    """A square root at 0, say: its gradient is inf at any scale."""
    scaled = Scaled(tell())
    for _ in range(5):
        scaled.window(
            bad=True, origin=Origin(born="backward", op="SqrtBackward0", site=BIRTH, dtype="float32", inf=1)
        )
    assert scaled.story.found("GD409").evidence["no_scale_helps"] == 5


def test_born_backward_of_what_the_forward_kept(tell: Tell) -> None:
    """An inf in the data that a saturated activation hides: 0 times inf at any scale, also in half."""
    kept = Operand(name="mat1", dtype="float16", inf=1, numel=8)
    scaled = Scaled(tell())
    for _ in range(5):
        scaled.window(
            bad=True,
            origin=Origin(born="backward", op="MmBackward0", dtype="float16", nan=1, operands=(kept,)),
        )
    assert scaled.story.found("GD409").evidence["no_scale_helps"] == 5


def test_scale_below_one(tell: Tell) -> None:
    """Of unknown origin: found when the scale itself is out of the question."""
    scaled = Scaled(tell())
    for _ in range(16):
        scaled.window(bad=True)
    assert scaled.story.alarms == []
    scaled.window(bad=True)
    finding = scaled.story.found("GD409")
    assert "fell from 65,536 to 0.5. Where it is born was not measured." in finding.message
    assert 'nodes="always"' in finding.fix


def test_gradients_do_not_grow_a_thousandfold(tell: Tell) -> None:
    """A scale that worked, and ten halvings later there is still no step."""
    scaled = Scaled(tell(), scale=2.0**20)
    scaled.window()
    for _ in range(9):
        scaled.window(bad=True, origin=overflow())
    assert scaled.story.alarms == []
    scaled.window(bad=True, origin=overflow())
    assert scaled.story.found("GD409").first_step == 10


def test_a_scale_that_helps_is_named(tell: Tell) -> None:
    """By what was measured when it worked."""
    scaled = Scaled(tell(), scale=2.0**20)
    scaled.half(absmax=40000.0, scale=512.0)
    scaled.window()
    for _ in range(10):
        scaled.window(bad=True, origin=overflow())
    assert "gradients fit at a scale of 512." in scaled.story.found("GD409").message


def test_static_scale(tell: Tell) -> None:
    """A scale that does not fall is too large for ever."""
    scaled = Scaled(tell(), backoff=1.0)
    for _ in range(20):
        scaled.window(bad=True, origin=overflow())
    assert "stayed at 65,536" in scaled.story.found("GD409").message


def test_the_end(tell: Tell) -> None:
    """At 0 the guard is the harm."""
    scaled = Scaled(tell())
    for _ in range(1100):
        scaled.window(bad=True, loss=math.nan)
    finding = scaled.story.found("GD409")
    assert scaled.scale == 0
    assert finding.message.endswith(
        "At a scale of 0 the scaler itself does harm: it makes healthy gradients 0, divides them by 0 and lets "
        "the step write NaN into every weight."
    )


def test_what_a_skip_has_refuted_is_not_said(tell: Tell) -> None:
    """Gradients were measured to fit at a scale at which the newest ones did not."""
    scaled = Scaled(tell(), scale=1.0)
    scaled.half(absmax=30000.0)
    scaled.window(bad=True)
    message = scaled.story.found("GD409").message
    assert "has skipped a step because" in message
    assert "fit at a scale" not in message
