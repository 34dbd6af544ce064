"""What is known of ops is true: torch itself makes NaN or inf there, and what we advise helps."""

from __future__ import annotations

import pytest
import torch

from graddebug.diagnose.nonfinite import explain
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
