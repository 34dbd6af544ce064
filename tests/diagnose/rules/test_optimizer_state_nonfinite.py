"""GD506: a step with finite gradients leaves NaN."""

from __future__ import annotations

from typing import Any

import pytest

from tests.diagnose.rules.nonfinite_stories import ALL, bad_backward
from tests.diagnose.story import Lines, Tell


def test_wording(tell: Tell, lines: Lines) -> None:
    """Adam with an eps that is 0."""
    story = tell()
    story.backward()
    story.step(nonfinite_weights=(0, 1), eps=0.0)
    found = story.found("GD506")
    assert found.message == (
        "`optimizer.step()` (train.py:43) was given finite gradients and left NaN or inf in the weights of "
        "fc1.weight and fc1.bias. Its eps is 0, which is 0 in float32: a gradient of 0 makes 0/0."
    )
    assert found.fix == "Give the optimizer an eps, `eps=1e-8`."
    assert lines(found) == {"step": 43}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"lr": (float("inf"),)}, "Its learning rate is inf."),
        ({"nonfinite_state": (0,), "state_entries": ("exp_avg_sq",)}, "(exp_avg_sq)"),
        ({"eps": 1e-8}, "left the range of float32"),
    ],
)
def test_causes(tell: Tell, fields: dict[str, Any], said: str) -> None:
    """A learning rate, a moment, an overflow."""
    story = tell()
    story.backward()
    story.step(**{"nonfinite_weights": (0,), **fields})
    assert said in story.found("GD506").message


def test_bad_gradients_are_another_finding(tell: Tell) -> None:
    """Weights become NaN because the gradient was."""
    story = tell()
    story.backward(nonfinite=(0, 1))
    story.step(nonfinite=(0, 1), nonfinite_weights=(0, 1))
    assert story.codes == ["GD505"]


def test_what_follows_is_no_news(tell: Tell) -> None:
    """The next backward is NaN from those weights."""
    story = tell()
    story.backward()
    story.step(nonfinite_weights=(0, 1), eps=0.0)
    story.clear("optimizer")
    bad_backward(story)
    story.step(nonfinite=ALL)
    assert story.codes == ["GD506"]
