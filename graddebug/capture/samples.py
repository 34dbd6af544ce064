"""Strided samples of many tensors in one buffer, and sums over each of them.

Small tensors are flattened together by one call of torch; of larger ones a strided view is taken.
Nothing waits for a device before `Sample.numbers` is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch

from graddebug.capture import underscored

#: Elements of a tensor that are looked at for everything but norms; smaller tensors are read whole.
SAMPLE = 1024

FloatArray = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

_PLAIN_TYPES = (torch.Tensor, torch.nn.Parameter)
_PLAIN_DTYPES = frozenset((torch.float32, torch.float64, torch.float16, torch.bfloat16))

_COMPRESSED = (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)


class Layout:
    """Where the sample of each of some tensors lies in a buffer: small tensors first, then the large.

    Sums and maxima come back in the order of the tensors.
    """

    def __init__(self, numels: tuple[int, ...]) -> None:
        self.small = [i for i, numel in enumerate(numels) if numel <= SAMPLE]
        self.large = [i for i, numel in enumerate(numels) if numel > SAMPLE]
        #: Distance between sampled elements, for each of ``large``.
        self.strides = [-(-numels[i] // SAMPLE) for i in self.large]
        sampled = [-(-numels[i] // stride) for i, stride in zip(self.large, self.strides, strict=True)]
        sizes = np.asarray([numels[i] for i in self.small] + sampled, dtype=np.intp)
        order = np.asarray(self.small + self.large, dtype=np.intp)
        full = np.flatnonzero(sizes)
        self._starts = (np.cumsum(sizes) - sizes)[full]
        self._places = order[full]
        self._empty = len(full) < len(order)
        #: Sampled elements of each tensor, at least 1.
        self.counts = np.ones(len(numels))
        self.counts[order] = np.maximum(sizes, 1)

    def sums(self, flat: np.ndarray[Any, Any]) -> FloatArray:
        """Sum over each sample; 0 for empty ones."""
        return self._reduce(np.add, flat, 0.0)

    def maxima(self, flat: FloatArray) -> FloatArray:
        """Largest element of each sample; NaN for empty ones and for those that hold one."""
        return self._reduce(np.maximum, flat, np.nan)

    def _reduce(self, ufunc: np.ufunc, flat: np.ndarray[Any, Any], empty: float) -> FloatArray:
        result = np.full(len(self.counts), empty) if self._empty else np.empty(len(self.counts))
        if len(self._starts):
            result[self._places] = ufunc.reduceat(flat, self._starts, dtype=np.float64)
        return result

    def span_of(self, tensor: int) -> slice:
        """Where in the buffer a tensor's sample lies."""
        start = int(self._starts[int(np.flatnonzero(self._places == tensor)[0])])
        return slice(start, start + int(self.counts[tensor]))


@lru_cache(maxsize=256)
def layout_of(numels: tuple[int, ...]) -> Layout:
    """The layout for tensors of these sizes; training asks for the same ones in every step."""
    return Layout(numels)


class Sample:
    """Samples of some tensors, taken now, read later."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        plain = [tensor if is_plain(tensor) else dense(tensor) for tensor in tensors]
        self.layout = layout_of(tuple([tensor.numel() for tensor in plain]))
        with torch.no_grad():
            self._buffer = self._gather(plain).detach()

    def _gather(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        layout = self.layout
        small = [tensors[i] for i in layout.small]
        large = [
            tensors[i].detach().reshape(-1)[::stride]
            for i, stride in zip(layout.large, layout.strides, strict=True)
        ]
        if len({tensor.device for tensor in tensors}) > 1:
            return torch.cat([tensor.reshape(-1).to("cpu", torch.float32) for tensor in (*small, *large)])
        # Flattening a lone tensor yields a view of it, which would change with it; torch.cat copies.
        parts = [underscored.flatten_together(small)] if len(small) > 1 else [t.reshape(-1) for t in small]
        if len(small) > 1 and not large:
            buffer = parts[0]
        else:
            buffer = torch.cat(parts + large) if tensors else torch.empty(0)
        return buffer if buffer.is_cpu else buffer.to("cpu", torch.float32, non_blocking=True)

    @cached_property
    def numbers(self) -> FloatArray:
        """The samples one after another, float64."""
        return self._buffer.to(torch.float64).numpy()


def largest_element(tensor: torch.Tensor) -> int:
    """The element of a tensor's sample that is farthest from zero; -1 if all are zero. Reads it at once."""
    flat = tensor.detach().reshape(-1)
    stride = -(-flat.numel() // SAMPLE)
    if stride > 1:
        flat = flat[::stride]
    element = int(flat.abs().argmax()) if stride else -1
    return element * stride if element >= 0 and flat[element].item() else -1


def is_plain(tensor: torch.Tensor) -> bool:
    """Whether a tensor can be read as it is: an ordinary strided one of ordinary floats."""
    return type(tensor) in _PLAIN_TYPES and tensor.layout is torch.strided and tensor.dtype in _PLAIN_DTYPES


def dense(tensor: torch.Tensor) -> torch.Tensor:
    """What can be measured of an unusual tensor.

    A sparse gradient's values, a sharded tensor's local part, a complex tensor's absolute values, a
    float8 tensor in float32.
    """
    tensor = tensor.detach()
    if tensor.layout is torch.sparse_coo:
        tensor = tensor.coalesce().values()
    elif tensor.layout in _COMPRESSED:
        tensor = tensor.values()
    local = getattr(tensor, "_local_tensor", tensor)
    tensor = local if isinstance(local, torch.Tensor) else tensor
    if tensor.is_complex():
        return tensor.abs()
    return tensor if tensor.dtype in _PLAIN_DTYPES else tensor.to(torch.float32)
