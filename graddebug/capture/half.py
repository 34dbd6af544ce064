"""Numbers in half precision: how near to the dtype's ends the gradients of a measured backward came."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from graddebug.capture.operands import dtype_name
from graddebug.capture.samples import SAMPLE, FloatArray

HALF = (torch.float16, torch.bfloat16)

#: Below this many bits under the maximum, the largest value is looked for among all elements.
_NEAR = 4

_TINY = {dtype_name(torch.empty(0, dtype=dtype)): torch.finfo(dtype).tiny for dtype in HALF}


@dataclass(frozen=True, slots=True)
class _Taken:
    """A strided sample of what went out of a node, and what a cast was given in its place."""

    place: int
    values: torch.Tensor
    before: torch.Tensor | None
    absmax: float | None


@dataclass(slots=True)
class HalfSummary:
    """All samples of one dtype together, and each node's own shares."""

    dtype: str
    elements: int = 0
    zeros: int = 0
    subnormal: int = 0
    nonzero_before: int = 0
    flushed: int = 0
    absmax: float = 0.0
    largest: int = -1
    exponents: dict[int, int] = field(default_factory=dict)
    #: (place, largest absolute value, share of zeros, share of subnormal numbers)
    rows: list[tuple[int, float, float, float]] = field(default_factory=list)

    @property
    def lowest_exponent(self) -> int:
        """Where the histogram begins."""
        return min(self.exponents, default=0)

    @property
    def histogram(self) -> tuple[int, ...]:
        """Counts of non-zero elements by binary exponent, without a gap."""
        if not self.exponents:
            return ()
        return tuple(self.exponents.get(e, 0) for e in range(self.lowest_exponent, max(self.exponents) + 1))


class HalfSamples:
    """Samples of half-precision tensors, taken in a hook, counted afterwards."""

    def __init__(self) -> None:
        self._taken: dict[str, list[_Taken]] = {}

    def take(self, place: int, tensor: torch.Tensor, before: torch.Tensor | None, norm: float) -> None:
        """Sample a tensor of this norm; ``before`` is what a cast made it from."""
        stride = -(-tensor.numel() // SAMPLE) or 1
        values = _copied(tensor, stride)
        if before is not None:
            before = _copied(before, stride) if before.numel() == tensor.numel() else None
        near = norm * 2**_NEAR >= torch.finfo(tensor.dtype).max
        absmax = float(tensor.abs().max()) if near and tensor.numel() else None
        self._taken.setdefault(dtype_name(tensor), []).append(_Taken(place, values, before, absmax))

    def summaries(self) -> list[HalfSummary]:
        """Count what was taken, one summary a dtype."""
        return [_summary(dtype, taken) for dtype, taken in self._taken.items()]


def _copied(tensor: torch.Tensor, stride: int) -> torch.Tensor:
    """Every so many-th element: a view would keep the whole gradient alive, and its graph."""
    return tensor.detach().reshape(-1)[::stride].to(torch.float32, copy=True)


def _summary(dtype: str, taken: list[_Taken]) -> HalfSummary:
    result = HalfSummary(dtype)
    with np.errstate(all="ignore"):
        for one in taken:
            _count(result, one, np.abs(one.values.cpu().double().numpy()))
    return result


def _count(result: HalfSummary, one: _Taken, values: FloatArray) -> None:
    finite = values[np.isfinite(values)]
    zeros, subnormal = int((values == 0).sum()), int(((values > 0) & (values < _TINY[result.dtype])).sum())
    largest = one.absmax if one.absmax is not None else float(finite.max(initial=0.0))
    if one.before is not None:
        before: Any = one.before.cpu().numpy()
        result.nonzero_before += int((before != 0).sum())
        result.flushed += int(((before != 0) & (values == 0)).sum())
    exponents = np.unique(np.frexp(finite[finite > 0])[1] - 1, return_counts=True)
    for exponent, count in zip(*exponents, strict=True):
        result.exponents[int(exponent)] = result.exponents.get(int(exponent), 0) + int(count)
    result.elements += len(values)
    result.zeros += zeros
    result.subnormal += subnormal
    if largest > result.absmax:
        result.absmax, result.largest = largest, one.place
    count = max(len(values), 1)
    result.rows.append((one.place, largest, zeros / count, subnormal / count))
