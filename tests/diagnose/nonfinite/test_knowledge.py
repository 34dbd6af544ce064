"""What is known of ops is true: torch itself makes NaN or inf there, and what we advise helps."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch

from graddebug.diagnose.nonfinite import explain
from graddebug.records import Operand, Origin
from tests.diagnose.nonfinite.origins import is_finite, origin_in
from tests.diagnose.nonfinite.singular_points import POINTS, Point

VERSION = torch.__version__


@pytest.mark.filterwarnings("ignore:.*degrees of freedom is <= 0")
@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_the_cause_is_told(point: Point) -> None:
    """The program makes NaN or inf, and we call it what it is."""
    told = explain(origin_in(point.wrong, point.leaves()), VERSION)
    assert told.cause == point.cause


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_the_advice_helps(point: Point) -> None:
    """With the advised change, result and gradients are finite at the same numbers."""
    leaves = point.leaves()
    result = point.mended(*leaves)
    result.backward(torch.ones_like(result))
    grads = [leaf.grad for leaf in leaves if leaf.grad is not None]
    assert all(map(is_finite, (result, *grads)))


def _number(name: str, value: float) -> Operand:
    return Operand(name=name, minimum=value, maximum=value, numel=1, zeros=int(value == 0), scalar=True)


def _zeros(name: str) -> Operand:
    return Operand(name=name, shape=(2, 4), dtype="float32", minimum=0.0, maximum=1.0, zeros=4, numel=8)


@pytest.mark.parametrize(
    ("function", "op", "operands", "cause"),
    [
        ("normalize", "DivBackward0", (_zeros("self"), _number("eps", 0.0)), "normalisation by 0"),
        ("ctc_loss", "MeanBackward0", (_zeros("self"),), "no alignment"),
        (
            "multi_head_attention_forward",
            "ViewBackward0",
            (_zeros("self"),),
            "attention of a fully masked row",
        ),
    ],
)
def test_what_was_called_knows_more_than_its_last_node(
    function: str, op: str, operands: tuple[Operand, ...], cause: str
) -> None:
    """A composite function arrives as whatever it ends in."""
    origin = Origin(
        born="forward", op=op, function=function, nan=4, numel=8, dtype="float32", operands=operands
    )
    assert explain(origin, VERSION).cause == cause


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_an_exponential_clamped_as_advised_can_be_squared(dtype: str) -> None:
    """Else the advice moves the overflow to the next line: a squared error, a variance."""
    origin = Origin(
        born="forward", op="ExpBackward0", inf=1, numel=8, dtype=dtype, operands=(_zeros("self"),)
    )
    found = re.search(r"max=(\d+)", explain(origin, VERSION).fix)
    assert found is not None
    assert 0 < torch.tensor(float(found[1]), dtype=getattr(torch, dtype)).exp().square() < torch.inf


@pytest.mark.parametrize(
    "grow",
    [
        torch.square,
        lambda x: x**3,
        lambda x: x * 1e30,
        lambda x: x / 1e-30,
        lambda x: x * x,
    ],
    ids=["square", "power", "product", "quotient", "own product"],
)
def test_large_numbers_that_grow_overflow(grow: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """No pole is near: the result left the dtype's range."""
    told = explain(origin_in(grow, [torch.full((4,), 1e20, requires_grad=True)]), VERSION)
    assert told.cause == "overflow"
