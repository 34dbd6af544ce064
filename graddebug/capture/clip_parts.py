"""Which optimizers the gradients of one clip belong to, and how much of its norm is theirs.

Nothing is measured for it: the norms are those of the backward that wrote the gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

from graddebug.capture.gradients import GradientState
from graddebug.capture.optimizers import Optimizers
from graddebug.records import ParameterSet

NOBODY, SEVERAL = -1, -2

#: Sets of parameters remembered; a program clips a few.
_REMEMBERED_SETS = 64


class ClipParts:
    """Splits what a clip was given by owner."""

    def __init__(self, state: GradientState, optimizers: Optimizers) -> None:
        self._state = state
        self._optimizers = optimizers
        self._ownings = -1
        self._known: dict[ParameterSet, dict[int, list[int]]] = {}

    def of(self, params: ParameterSet) -> Callable[[], dict[str, Any]] | None:
        """The fields ``owners`` and ``norms`` of `Clipped`, to be asked for when the numbers are here.

        None if all belong to one optimizer, as they do in most programs.
        """
        parts = self._split(params)
        if len(parts) < 2:
            return None
        norms = {owner: [self._state.known_norm(i) for i in members] for owner, members in parts.items()}

        def fields() -> dict[str, Any]:
            totals = (math.hypot(*(norm() for norm in each)) for each in norms.values())
            return {"owners": tuple(norms), "norms": tuple(totals)}

        return fields

    def _split(self, params: ParameterSet) -> dict[int, list[int]]:
        optimizers = self._optimizers
        if self._ownings != optimizers.ownings or len(self._known) >= _REMEMBERED_SETS:
            self._ownings = optimizers.ownings
            self._known.clear()
        parts = self._known.get(params)
        if parts is None:
            parts = self._known[params] = {}
            for index in params:
                parts.setdefault(_owner(optimizers.owners_of(index)), []).append(index)
        return parts


def _owner(owners: Collection[int] | None) -> int:
    if not owners:
        return NOBODY
    return next(iter(owners)) if len(owners) == 1 else SEVERAL
