"""What an optimizer is like: whose class it is, and how its parameters lie in groups."""

from __future__ import annotations

from collections.abc import Callable

import torch

from graddebug.records import ParameterSet


def is_stock(optimizer: torch.optim.Optimizer) -> bool:
    """Whether its class is one of torch's own, and no subclass: its step is known."""
    kind = type(optimizer)
    return getattr(torch.optim, kind.__name__, None) is kind


def groups_of(
    optimizer: torch.optim.Optimizer, index: Callable[[torch.Tensor], int | None], params: ParameterSet
) -> tuple[int, ...]:
    """The group of each of ``params``; empty where there is only one."""
    if len(optimizer.param_groups) < 2:
        return ()
    place = {
        index(parameter): number
        for number, group in enumerate(optimizer.param_groups)
        for parameter in group["params"]
    }
    return tuple(place.get(i, 0) for i in params)
