"""An optimizer's own memory of a parameter (momentum, second moments), looked at where it may be bad."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from graddebug.capture.samples import FloatArray

#: The square of a number beyond this leaves float16, the narrowest dtype that is trained in.
_LEAST = 255.0


@dataclass(frozen=True, slots=True)
class BadState:
    """Where in what was asked state holds NaN or inf, which entries do, and the optimizer's eps."""

    places: tuple[int, ...] = ()
    entries: tuple[str, ...] = ()
    eps: float | None = None


def may_overflow(parameters: Sequence[torch.Tensor | None], norms: FloatArray) -> list[int]:
    """The places of parameters whose gradient is so large that the square of an element may overflow."""
    with np.errstate(invalid="ignore"):
        large = [int(i) for i in np.flatnonzero((norms > _LEAST) & np.isfinite(norms))]
    return [i for i in large if (p := parameters[i]) is not None and norms[i] > _root_of_largest(p)]


def bad_state(
    optimizer: torch.optim.Optimizer, parameters: Sequence[torch.Tensor | None], places: Iterable[int]
) -> BadState:
    """Look at the state of some of the parameters; waits for a device."""
    found: dict[int, list[str]] = {}
    asked = list(places)
    for place in asked:
        parameter = parameters[place]
        state = optimizer.state.get(parameter) if parameter is not None else None
        names = _bad_entries(state) if isinstance(state, dict) else []
        if names:
            found[place] = names
    entries = tuple(dict.fromkeys(name for names in found.values() for name in names))
    eps = _eps(optimizer, [parameters[place] for place in asked])
    return BadState(tuple(found), entries, eps) if asked else BadState()


def _root_of_largest(parameter: torch.Tensor) -> float:
    return math.sqrt(torch.finfo(parameter.dtype).max) if parameter.dtype.is_floating_point else math.inf


def _bad_entries(state: dict[Any, Any]) -> list[str]:
    return [
        str(name)
        for name, value in state.items()
        if isinstance(value, torch.Tensor) and value.is_floating_point() and not bool(value.isfinite().all())
    ]


def _eps(optimizer: torch.optim.Optimizer, parameters: Sequence[torch.Tensor | None]) -> float | None:
    ids = {id(parameter) for parameter in parameters}
    for group in optimizer.param_groups:
        if any(id(parameter) in ids for parameter in group["params"]):
            eps = group.get("eps")
            return float(eps) if isinstance(eps, int | float) else None
    return None
