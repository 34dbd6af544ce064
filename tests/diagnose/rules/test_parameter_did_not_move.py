"""GD210: a good gradient, a step, and the same value."""

from __future__ import annotations

from typing import Any

import pytest

from graddebug.records import OptimizerOwns, Severity
from tests.diagnose.story import MODEL, Story, Tell, lines

SHAPES = dict.fromkeys(MODEL, (10, 10))
STANDS = dict.fromkeys(MODEL, 1.0) | {"fc1.bias": 0.0}


def train(story: Story, steps: int = 10, *, step: dict[str, Any] | None = None, **numbers: Any) -> Story:
    """Steps over 100 weights of about 0.1 with gradients of about 1."""
    told: dict[str, Any] = {"grad_norm": 10.0, "grad_zero_share": 0.0, "weight_norm": 1.0}
    told |= {"changed_share": STANDS} | numbers
    for _ in range(steps):
        story.clear("optimizer")
        story.backward()
        story.step(**(step or {}))
        story.measured(**told)
    return story


def test_one_parameter_stands_still(tell: Tell) -> None:
    """Said at the end of the run for an optimizer that is not torch's own."""
    story = train(tell(shapes=SHAPES))
    assert story.codes == []
    story.end()
    finding = story.found("GD210")
    assert (story.codes, finding.severity) == (["GD210"], Severity.ERROR)
    assert finding.parameters == ("fc1.bias",)
    assert lines(finding) == {"backward": 41, "step": 43}
    assert finding.message == (
        "`optimizer.step()` ran 10 times with a gradient for fc1.bias (elements of about 1) and a learning "
        "rate of 0.1, and not one element has changed. A step of about 0.1 was due, and float32 can tell "
        "7.45e-09 apart there. The other 3 parameters of `optimizer` did move."
    )


def test_torchs_own_optimizer_is_known(tell: Tell) -> None:
    """It never waits."""
    assert train(tell(shapes=SHAPES, stock=True)).codes == ["GD210"]


def test_an_optimizer_that_gathers_gradients(tell: Tell) -> None:
    """One update in 32 steps."""
    story = tell(shapes=SHAPES)
    for _ in range(4):
        train(story, 31, changed_share=0.0)
        train(story, 1, changed_share=1.0)
    story.end()
    assert story.alarms == []


@pytest.mark.parametrize(
    "numbers",
    [
        {"grad_norm": 0.0},
        {"grad_norm": float("nan")},
        {"grad_norm": 1e-9},
        {"step": {"lr": (0.0,)}},
        {"step": {"lr": (1e-9,)}},
        {"step": {"lr": (float("nan"),)}},
        {"step": {"skipped": True}},
    ],
    ids=["zero", "unknown", "rounding noise", "no rate", "end of a schedule", "rate on a device", "skipped"],
)
def test_no_move_was_due(tell: Tell, numbers: dict[str, Any]) -> None:
    """No gradient, no rate, no step, or one that float32 cannot tell."""
    story = train(tell(shapes=SHAPES, stock=True), 20, **numbers)
    story.end()
    assert "GD210" not in story.codes


def test_its_group_has_a_rate_of_zero(tell: Tell) -> None:
    """The rate is that of the parameter's own group."""
    story = tell(shapes=SHAPES, stock=True)
    story.tell(OptimizerOwns, optimizer=0, params=story.set(None), groups=(0, 1, 0, 0))
    train(story, step={"lr": (0.1, 0.0)})
    story.end()
    assert story.codes == []


def test_what_has_moved_before(tell: Tell) -> None:
    """A part that a proximal step keeps at zero has been elsewhere."""
    story = train(tell(shapes=SHAPES, stock=True), changed_share=1.0)
    train(story, 20)
    story.end()
    assert story.codes == []
