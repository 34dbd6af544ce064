"""GD504: a gradient made a million times as large."""

from __future__ import annotations

from typing import Any

import pytest

from graddebug.records import Amplified, Operand
from tests.diagnose.rules.nonfinite_stories import origin, zeros
from tests.diagnose.story import Story, Tell, site

DIVISION = origin(
    op="DivBackward0",
    inf=0,
    module="",
    site=site(12, "unit = F.normalize(x)"),
    operands=(zeros("other", minimum=1e-12, zeros=0), zeros("self")),
)


def amplified(story: Story, **fields: Any) -> None:
    order = story.backward()
    told: dict[str, Any] = {"ratio": 1e12, "norm_in": 0.5, "norm_out": 5e11, "origins": (DIVISION,)} | fields
    story.tell(Amplified, backward=order, **told)


def test_wording(tell: Tell) -> None:
    """How much, where, and who applies it."""
    story = tell()
    amplified(story)
    story.step()
    assert story.found("GD504").message == (
        "`unit = F.normalize(x)` (train.py:12) made the gradient 1e12 times as large: norm 0.5 came into its "
        "DivBackward0, 5e11 went out. All of it is finite, so that nothing else warns. `optimizer.step()` "
        "(train.py:43) applies it to fc1.weight, fc1.bias and 2 more."
    )
    assert "eps=1e-3" in story.found("GD504").fix


def test_a_gradient_that_no_step_uses_is_none_of_it(tell: Tell) -> None:
    """Cleared, or of an input."""
    story = tell()
    amplified(story)
    story.clear("optimizer")
    story.backward()
    story.step()
    assert story.codes == []


@pytest.mark.parametrize("op", ["MulBackward0", "MmBackward0", "AddmmBackward0", "ConvolutionBackward0"])
def test_a_linear_op_multiplies_by_the_programs_own_numbers(tell: Tell, op: str) -> None:
    """Large inputs, a loss scale."""
    story = tell()
    amplified(story, origins=(origin(op=op, inf=0),))
    story.step()
    assert story.codes == []


@pytest.mark.parametrize(("exponent", "codes"), [(2.0, []), (1.0, []), (0.5, ["GD504"]), (-1.0, ["GD504"])])
def test_a_square_of_large_errors_has_a_large_slope(tell: Tell, exponent: float, codes: list[str]) -> None:
    """Targets in millions; only below an exponent of 1 does the slope grow near a point."""
    story = tell()
    power = Operand(name="exponent", minimum=exponent, maximum=exponent, numel=1, scalar=True)
    amplified(story, origins=(origin(op="PowBackward0", inf=0, operands=(zeros("self"), power)),))
    story.step()
    assert story.codes == codes


def test_a_division_by_a_constant_is_linear_too(tell: Tell) -> None:
    """Autograd keeps no numerator then."""
    story = tell()
    amplified(story, origins=(origin(op="DivBackward0", operands=(zeros("other"),), inf=0),))
    story.step()
    assert story.codes == []


def test_a_smaller_ratio_is_silent(tell: Tell) -> None:
    """Up to a million."""
    story = tell()
    amplified(story, ratio=9e5)
    story.step()
    assert story.codes == []


def test_what_the_way_on_takes_back_is_none_of_it(tell: Tell) -> None:
    """A root near 0 of a sum of squares: the gradient is small again at the parameters."""
    story = tell()
    amplified(story, written=3.0)
    story.step()
    assert story.codes == []
