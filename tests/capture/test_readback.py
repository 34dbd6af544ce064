"""Norms of gradients, read together."""

from __future__ import annotations

import pytest
import torch

from graddebug.capture.readback import Readback


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_large_tensor_of_any_float_has_its_norm(dtype: torch.dtype) -> None:
    """float64 is not narrowed, which torch refuses; half precision does not overflow."""
    tensors = [torch.full((4096,), 2048.0, dtype=dtype)]
    assert Readback().norms(tensors).values == pytest.approx([2048.0 * 64])


def test_tensors_of_several_dtypes_are_read_together() -> None:
    """A float64 head on a float32 body."""
    tensors = [torch.ones(4096), torch.ones(4096, dtype=torch.float64), torch.ones(4)]
    assert Readback().norms(tensors).values == pytest.approx([64, 64, 2])


@pytest.mark.parametrize("count", [4, 4096])
@pytest.mark.parametrize(("value", "dtype"), [(1e20, torch.float32), (1e200, torch.float64)])
def test_finite_numbers_have_a_finite_norm(count: int, value: float, dtype: torch.dtype) -> None:
    """Their squares overflow, they do not."""
    (norm,) = Readback().norms([torch.full((count,), value, dtype=dtype)]).values
    assert norm == pytest.approx(value * count**0.5)


@pytest.mark.parametrize("count", [4, 4096])
def test_an_infinite_element_makes_an_infinite_norm(count: int) -> None:
    """Large ones beside it do not hide it."""
    tensor = torch.full((count,), 1e20)
    tensor[1] = -float("inf")
    assert Readback().norms([tensor]).values.tolist() == [float("inf")]
