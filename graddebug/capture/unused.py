"""Losses that came out as NaN or inf and that no backward was called on: the batch was skipped, or it raised.

What a forward made is known while it runs; that nobody used it is known when its step is forgotten, or
when an exception ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch

from graddebug.capture import underscored
from graddebug.records import Origin

#: Where the forward made NaN or inf of what leads to the nodes with these sequence numbers, in order.
Origins = Callable[[Collection[int]], list[tuple[Origin, int]]]

#: Where a loss went bad that nobody used, and the step that made it.
Unused = tuple[Origin, int]

#: Losses remembered: a run that is NaN for good has told so long before.
_REMEMBERED = 32


@dataclass(frozen=True, slots=True)
class _Loss:
    number: int
    origin: Origin
    step: int


class UnusedLosses:
    """Bad losses of the step in progress and of the one before it that no backward has run through."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self._losses: list[_Loss] = []
        self._kept_from = 0
        self._step = 0
        self._stepped = False
        #: Where the result of the newest call went bad, None if that was finite.
        self.newest: Origin | None = None

    def made(self, loss: torch.Tensor, *, nan: bool) -> None:
        """A call returned one number with a graph, and it is not finite."""
        if len(self._losses) >= _REMEMBERED:
            return
        found = [origin for origin, _ in self._origins(_numbers(loss.grad_fn))]
        first = next((origin for origin in found if not nan or origin.nan), None)
        if first is not None and any(operand.inf for operand in first.operands):
            first = next((origin for origin in found if origin.born != "data"), first)
        if first is not None:
            step = self._step + self._stepped
            self._losses.append(_Loss(underscored.node_sequence_number(loss.grad_fn), first, step))

    def stepped(self) -> None:
        """An optimizer stepped: a forward after that is most often the next step's."""
        self._stepped = True

    def used(self, numbers: Collection[int]) -> None:
        """A backward runs through the nodes with these numbers."""
        kept = [loss for loss in self._losses[: self._kept_from] if loss.number not in numbers]
        fresh = [loss for loss in self._losses[self._kept_from :] if loss.number not in numbers]
        self._losses, self._kept_from, self.newest = kept + fresh, len(kept), None

    @property
    def waiting(self) -> bool:
        """Whether `used` has anything to do."""
        return bool(self._losses) or self.newest is not None

    def forget_old(self) -> tuple[Unused, ...]:
        """The step is over: what the one before it left unused will not be used any more."""
        self._step += 1
        self._stepped = False
        old, self._losses = self._losses[: self._kept_from], self._losses[self._kept_from :]
        self._kept_from = len(self._losses)
        return _distinct(old)

    def left(self) -> tuple[Unused, ...]:
        """All that are unused, at the end of the run."""
        return _distinct(self._losses)


def _distinct(losses: list[_Loss]) -> tuple[Unused, ...]:
    found = {(loss.origin.op, loss.origin.site, loss.step): (loss.origin, loss.step) for loss in losses}
    return tuple(found.values())


def _numbers(node: Any) -> set[int]:
    nodes = {node: None}
    queue = [node]
    for one in queue:  # grows while we walk
        for child, _ in one.next_functions:
            if child is not None and child not in nodes:
                nodes[child] = None
                queue.append(child)
    return {underscored.node_sequence_number(one) for one in nodes}
