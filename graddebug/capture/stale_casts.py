"""Low-precision copies of weights that autocast keeps for its region, though a step has changed the weights.

Autocast casts a weight once in a region and hands the copy out again until the outermost region ends (2.13,
for leaves that want a gradient). In the graph the copy is a cast right above the weight. Nodes are numbered
as they are made: a cast that is older than the weight's newest step, used by a node that is younger, is one
of those.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from graddebug.capture import underscored
from graddebug.capture.autocast import autocast_dtype
from graddebug.capture.graph import ACCUMULATE_GRAD

_CAST = "ToCopyBackward0"

#: The index of a parameter.
IndexOf = Callable[[torch.Tensor], int | None]


class StaleCasts:
    """When steps inside of autocast regions changed parameters, as the number of the next node to be made."""

    def __init__(self) -> None:
        self._stepped: dict[int, int] = {}
        self._newest = -1
        self._thread = -1

    def stepped(self, members: Sequence[int], parameter: torch.Tensor | None) -> None:
        """A step has changed these, ``parameter`` among them."""
        if parameter is None or autocast_dtype(parameter.device.type) is None:
            return
        if torch.is_autocast_cache_enabled():
            self._thread = threading.get_ident()
            self._newest = underscored.sequence_number()
            self._stepped.update(dict.fromkeys(members, self._newest))

    def used(self, nodes: Sequence[Any], index_of: IndexOf) -> list[int]:
        """Parameters of which these nodes use a copy from before their last step."""
        if not self._stepped or self._thread != threading.get_ident():
            return []
        stale = dict(self._stale(nodes, index_of))
        return sorted(set(self._users(nodes, stale))) if stale else []

    def _stale(self, nodes: Sequence[Any], index_of: IndexOf) -> Iterator[tuple[Any, int]]:
        """The casts of parameters that are older than the parameter's last step."""
        for node in nodes:
            if type(node).__name__ != _CAST:
                continue
            number = underscored.node_sequence_number(node)
            weight = _variable(node.next_functions[0][0]) if number < self._newest else None
            index = index_of(weight) if weight is not None else None
            if index is not None and number < self._stepped.get(index, -1):
                yield node, index

    def _users(self, nodes: Sequence[Any], stale: dict[Any, int]) -> Iterator[int]:
        """Those that something uses which was made after the step."""
        for node in nodes:
            for child, _ in node.next_functions:
                index = stale.get(child)
                if index is not None and underscored.node_sequence_number(node) >= self._stepped[index]:
                    yield index


def _variable(node: Any) -> torch.Tensor | None:
    """The leaf whose gradient a node accumulates; None for any other node."""
    is_leaf = type(node) is ACCUMULATE_GRAD
    return node.variable if is_leaf else None
