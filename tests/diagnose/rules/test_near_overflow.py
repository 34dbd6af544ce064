"""GD411: close to the largest number."""

from __future__ import annotations

from typing import Any

import pytest

from tests.diagnose.scaled import BIRTH, Scaled
from tests.diagnose.story import Lines, Tell

OUTPUT: dict[str, Any] = {"what": "outputs", "module": "blocks.3.mlp", "largest_at": BIRTH}


def test_an_output_twice_within_two_bits(tell: Tell, lines: Lines) -> None:
    """The second measurement is the proof; wording."""
    scaled = Scaled(tell())
    scaled.half(absmax=20000.0, **OUTPUT)
    assert scaled.story.codes == []
    scaled.half(absmax=30000.0, **OUTPUT)
    finding = scaled.story.found("GD411")
    assert lines(finding) == {"op": 12}
    assert finding.message == (
        "An output of blocks.3.mlp reached 30,000 in float16, which ends at 65,504: 1.1 bits are left. A slightly "
        "larger batch makes it inf."
    )
    assert finding.fix.startswith("Compute blocks.3.mlp in bfloat16 or float32")


def test_gradients_without_a_scale(tell: Tell) -> None:
    """No scaler looks after them."""
    scaled = Scaled(tell())
    for absmax in (40000.0, 50000.0):
        scaled.half(absmax=absmax, scale=None, op="MulBackward0")
    assert scaled.story.found("GD411").message.startswith("A gradient of MulBackward0 reached 50,000")


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ((40000.0, 50000.0), {"what": "gradients"}),  # scaled: the scaler looks for this edge
        ((65504.0, 65504.0), OUTPUT),  # the largest number itself, put there
        ((30000.0, 30000.0), OUTPUT),  # a mask's constant
        ((9000.0, 10000.0), OUTPUT),
        ((60000.0, 61000.0), OUTPUT | {"dtype": "bfloat16"}),
        ((float("inf"), float("inf")), OUTPUT),
        ((0.0, 0.0), OUTPUT),
    ],
)
def test_what_is_right(tell: Tell, values: tuple[float, ...], fields: dict[str, Any]) -> None:
    """Far away, meant, or past it."""
    scaled = Scaled(tell())
    for absmax in values:
        scaled.half(absmax=absmax, **fields)
    assert scaled.story.codes == []
