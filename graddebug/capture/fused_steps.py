"""Weights that a fused optimizer changed behind autograd's back.

A fused kernel moves no version counter (2.13), so that autograd hands out weights which a graph kept for its
backward although a step has changed them since. Nodes are numbered as they are made: one that is older
than the newest step of a weight that it keeps is one of those.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from graddebug.capture import underscored
from graddebug.capture.outdated import places_of
from graddebug.capture.samples import is_plain


class FusedSteps:
    """When each parameter was last changed by a fused step, as the number of the next node to be made."""

    def __init__(self) -> None:
        self._stepped: dict[int, int] = {}
        self._newest = -1
        self._thread = -1
        #: Whether nodes may carry numbers of another thread's count: a device's, that ran a double backward.
        self.confused = False

    def stepped(self, members: Iterable[int]) -> None:
        """A fused step has changed these."""
        thread = threading.get_ident()
        self.confused = self.confused or self._thread not in (-1, thread)
        self._thread = thread
        self._newest = underscored.sequence_number()
        self._stepped.update(dict.fromkeys(members, self._newest))

    def outdated(self, nodes: Iterable[Any], alive: Sequence[torch.Tensor | None]) -> list[int]:
        """Parameters of which these nodes keep, and will use, values from before their last step."""
        if not self._stepped or self.confused or self._thread != threading.get_ident():
            return []
        numbered = ((node, underscored.node_sequence_number(node)) for node in nodes)
        older = [(node, number) for node, number in numbered if number < self._newest]
        if not older:
            return []
        places = places_of(alive[i] if i in self._stepped else None for i in range(len(alive)))
        found: set[int] = set()
        for node, number in older:
            for _, tensor, _ in underscored.raw_saved(node):
                index = places.get(tensor.data_ptr()) if tensor is not None and is_plain(tensor) else None
                if index is not None and number < self._stepped[index]:
                    found.add(index)
        return sorted(found)


def is_fused(optimizer: torch.optim.Optimizer) -> bool:
    """Whether any of its groups is stepped by a fused kernel."""
    return any(bool(group.get("fused")) for group in optimizer.param_groups)
