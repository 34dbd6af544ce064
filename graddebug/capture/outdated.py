"""Tensors that a graph keeps for its backward and that were changed after its forward."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from graddebug.capture import underscored
from graddebug.capture.samples import is_plain

#: What torch says when it is asked for such a tensor (2.13).
CHANGED = "modified by an inplace operation"


def changed_in_place(nodes: Iterable[Any]) -> Iterator[tuple[Any, torch.Tensor]]:
    """Nodes and the tensors they keep that autograd refuses because their version counter moved.

    Only tensors that no hook has packed are asked for: unpacking would run a checkpoint's recomputation.
    """
    for node in nodes:
        for name, tensor, _ in underscored.raw_saved(node):
            if tensor is not None and underscored.is_refused(node, name, CHANGED):
                yield node, tensor


def places_of(parameters: Iterable[torch.Tensor | None]) -> dict[int, int]:
    """The index of each parameter by its place in memory, where a transposed view of it begins, too."""
    return {
        parameter.data_ptr(): index
        for index, parameter in enumerate(parameters)
        if parameter is not None and is_plain(parameter) and parameter.numel()
    }
