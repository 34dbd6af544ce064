"""The L2 norm of one tensor, by the quickest call for its kind.

A norm carries every NaN and inf on. Torch's own norm reads 12 GB/s on two cores, a dot product of a tensor
with itself 25 (2.13, CPU); below some ten thousand elements the call itself is what costs.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from graddebug.capture.samples import dense, is_plain
from graddebug.capture.underscored import inside_jit_trace, is_wrapped

#: Elements from which on the dot product is quicker.
_LARGE = 16_384

#: What `plain_norm` measures.
_WIDE = frozenset((torch.float32, torch.float64))

_HALF = (torch.float16, torch.bfloat16)


_vector_norm = torch.linalg.vector_norm


def plain_norm(tensor: Any) -> float:
    """The norm of an ordinary float32 or float64 tensor on the CPU; -1 for anything else.

    For what is told of every op and every node: torch's overrides must be off.
    """
    if (
        type(tensor) is not torch.Tensor
        or tensor.dtype not in _WIDE
        or not tensor.is_cpu
        or tensor.layout is not torch.strided
        or is_wrapped(tensor)
        or inside_jit_trace()
    ):
        return -1.0
    if tensor.requires_grad:
        tensor = tensor.detach()
    if tensor.numel() >= _LARGE and tensor.is_contiguous():
        flat = tensor.view(-1)
        return math.sqrt(abs(torch.dot(flat, flat).item()))
    return _vector_norm(tensor).item()  # type: ignore[no-any-return]


def norm_of(tensor: torch.Tensor) -> float:
    """The norm of a tensor on the CPU; inf also where only its square overflows."""
    if not is_plain(tensor):
        tensor = dense(tensor)
    if tensor.requires_grad:  # a detached tensor costs a tenth of torch.no_grad()
        tensor = tensor.detach()
    if tensor.dtype in _HALF:
        return float(torch.linalg.vector_norm(tensor, dtype=torch.float32).item())
    if tensor.numel() >= _LARGE and tensor.is_contiguous():
        flat = tensor.view(-1)
        return math.sqrt(abs(torch.dot(flat, flat).item()))
    return float(torch.linalg.vector_norm(tensor).item())
