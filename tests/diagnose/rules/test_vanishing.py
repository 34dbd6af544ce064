"""GD508: gradients that shrink on their way to the first layers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.diagnose.story import Lines, Story, Tell

LAYERS = tuple(f"{n}.weight" for n in range(7))
DECAY = [10.0 ** (n - 6) for n in range(7)]


def train(tell: Tell, norms: Sequence[float], *, steps: int = 30) -> Story:
    story = tell(*LAYERS[: len(norms)])
    table = dict(zip(LAYERS, norms, strict=False))
    for _ in range(steps):
        story.clear("optimizer")
        story.backward()
        story.step()
        story.measured(grad_norm=table, weight_norm=1.0)
    return story


def test_each_layer_gets_a_tenth(tell: Tell, lines: Lines) -> None:
    """From the last to the first of seven layers: a millionth."""
    finding = train(tell, DECAY).found("GD508")
    assert lines(finding) == {"backward": 41, "step": 43}
    assert finding.parameters == ("0.weight", "1.weight")
    assert finding.message == (
        "The gradient shrinks layer by layer: its norm is 1 in 6.weight, and 1e-06 in 0.weight, 6 weight matrices "
        "earlier. 0.weight and 1.weight get next to nothing to learn from."
    )


@pytest.mark.parametrize(
    "norms",
    [
        [norm * 1e-6 for norm in DECAY],
        [1e-6] * 3 + [1.0] * 4,
        [1e-6, *[1.0] * 6],
        [1e-9] * 7,
        DECAY[::-1],
        [10.0 ** (n - 4) for n in range(5)],
    ],
    ids=["all small", "one drop", "rounding noise", "converged", "grows", "five layers"],
)
def test_not_vanishing(tell: Tell, norms: list[float]) -> None:
    """Small everywhere, small for another reason, or not small enough."""
    assert train(tell, norms).alarms == []


def test_not_in_the_first_steps(tell: Tell) -> None:
    """What begins so may still change."""
    assert train(tell, DECAY, steps=20).alarms == []
