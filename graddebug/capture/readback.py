"""Numbers that lie on a device, asked for now and read together later.

A hook must not wait for a device. It asks for norms as 0-dimensional tensors; `Readback.collect`
moves all of them at once, and only then can `Numbers.values` be read. On the CPU they are known at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from graddebug.capture import underscored
from graddebug.capture.samples import FloatArray, dense, is_plain


class Numbers:
    """One number for each of some tensors, float64; NaN until read back."""

    __slots__ = ("values",)

    def __init__(self, count: int) -> None:
        self.values: FloatArray = np.full(count, np.nan)


def known(value: float) -> Numbers:
    """A number that is on the host already."""
    numbers = Numbers(1)
    numbers.values[0] = value
    return numbers


class Readback:
    """Collects device scalars until they are read in one transfer a device."""

    def __init__(self) -> None:
        self._waiting: list[tuple[torch.Tensor, Numbers, list[int]]] = []

    def norms(self, tensors: Sequence[torch.Tensor]) -> Numbers:
        """Ask for the L2 norm of each tensor as it is now."""
        result = Numbers(len(tensors))
        kinds = [(tensor.device, tensor.dtype) for tensor in tensors]
        with torch.no_grad():
            for kind in dict.fromkeys(kinds):
                members = [i for i, one in enumerate(kinds) if one == kind]
                if kind[0].type == "cpu":
                    result.values[members] = _norms_now([tensors[i] for i in members])
                elif kind[0].type != "meta":
                    norms = torch.stack(underscored.norms(_dense([tensors[i] for i in members])))
                    self._waiting.append((norms, result, members))
        return result

    def scalar(self, tensor: torch.Tensor) -> Numbers:
        """Ask for the value of a tensor of one element, as the one entry of ``values``."""
        result = Numbers(1)
        if tensor.is_cpu:
            result.values[0] = tensor.detach().item()
        else:
            copied = tensor.detach().reshape(1).to(torch.float32, copy=True)
            self._waiting.append((copied, result, [0]))
        return result

    def later(self, norms: torch.Tensor) -> Numbers:
        """Ask for numbers that were computed already, a vector of them."""
        result = Numbers(len(norms))
        self._waiting.append((norms, result, list(range(len(norms)))))
        return result

    @property
    def waiting(self) -> bool:
        """Whether numbers were asked for that have not been read back."""
        return bool(self._waiting)

    def collect(self) -> None:
        """Read everything asked for so far; one transfer for each device."""
        waiting, self._waiting = self._waiting, []
        by_device: dict[torch.device, list[tuple[torch.Tensor, Numbers, list[int]]]] = {}
        for item in waiting:
            by_device.setdefault(item[0].device, []).append(item)
        for items in by_device.values():
            numbers = torch.cat([tensor for tensor, _, _ in items]).to("cpu", torch.float64).numpy()
            start = 0
            for _, result, members in items:
                result.values[members] = numbers[start : start + len(members)]
                start += len(members)


def _dense(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    return [tensor if is_plain(tensor) else dense(tensor) for tensor in tensors]


def _norms_now(tensors: list[torch.Tensor]) -> FloatArray:
    values = torch.stack(underscored.norms(_dense(tensors))).numpy().astype(np.float64)
    if not np.isfinite(values).all():
        for place in np.flatnonzero(np.isinf(values)).tolist():
            values[place] = _norm_without_overflow(tensors[place])
    return values


def _norm_without_overflow(tensor: torch.Tensor) -> float:
    """The L2 norm of a tensor on the CPU whose squares overflow; inf only if an element is.

    Squares of elements above 1.8e19 do not fit into float32, those above 1.3e154 not into float64.
    """
    numbers = dense(tensor).to(torch.float64)
    largest = float(numbers.abs().max().item())
    if not np.isfinite(largest):
        return largest
    return largest * float(torch.linalg.vector_norm(numbers / largest).item())
