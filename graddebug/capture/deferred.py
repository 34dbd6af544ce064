"""Norms of gradients that lie on a device: asked for in a hook, read together after the backward.

A hook must not wait. So the ranges of operands, whose tensors are gone by then, stay unknown; the node, its
line and its norms do not. Origins have counts of 1 in 0 elements: that there are some is all a norm tells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch

from graddebug.capture import underscored
from graddebug.capture.operands import dtype_name
from graddebug.capture.readback import Numbers, Readback
from graddebug.capture.samples import dense
from graddebug.records import Origin


class _Edge(NamedTuple):
    """A gradient that node ``place`` sent to ``target``, or that came into it (``target`` is None)."""

    place: int
    target: int | None
    shape: tuple[int, ...]
    dtype: str


class DeferredNorms:
    """What the hooks of one backward ask for."""

    def __init__(self) -> None:
        self._edges: list[_Edge] = []
        self._norms: list[torch.Tensor] = []

    def take(self, place: int, target: int | None, tensor: torch.Tensor) -> None:
        """Ask for the norm of a gradient, without waiting for it."""
        wide = torch.promote_types(tensor.dtype, torch.float32)
        plain = dense(tensor).detach()
        if not plain.is_complex():
            self._edges.append(_Edge(place, target, underscored.shape_of(tensor), dtype_name(tensor)))
            self._norms.append(torch.linalg.vector_norm(plain, dtype=wide).to(torch.float32))

    def ask(self, readback: Readback) -> Asked | None:
        """Have them read with everything else; None if there are none."""
        if not self._norms:
            return None
        norms, self._norms = self._norms, []
        return Asked(self._edges, readback.later(torch.stack(norms)))


@dataclass(frozen=True, slots=True)
class Asked:
    """The edges of a backward in the order they were run; ``numbers`` can be read once they are read back."""

    edges: Sequence[_Edge]
    numbers: Numbers

    def rows(self) -> Iterator[tuple[int, float, float]]:
        """Each node's place, the norm that came in and the norm that went out."""
        came_in: dict[int, float] = {}
        for place, mine in self._by_node():
            squares = 0.0
            for edge, norm in mine:
                if edge.target is None:
                    came_in[place] = norm
                else:
                    squares += norm * norm
                    came_in[edge.target] = norm
            yield place, came_in.get(place, math.nan), math.sqrt(squares)

    def origins(self, label: Callable[[int], Origin], roots: Collection[int]) -> tuple[Origin, ...]:
        """Nodes into which finite gradients came and out of which others went; by ``label`` it is named."""
        bad: set[int] = set()
        found = []
        for place, mine in self._by_node():
            worst = next((item for item in mine if not math.isfinite(item[1])), None)
            sent = [edge.target for edge, norm in mine if not math.isfinite(norm)]
            if worst is not None and place not in bad:
                born = "root" if worst[0].target is None and place in roots else "backward"
                found.append(_origin(label(place), born, *worst))
            bad.update(place if target is None else target for target in sent)
        return tuple(found)

    def _by_node(self) -> Iterable[tuple[int, list[tuple[_Edge, float]]]]:
        pairs = zip(self.edges, self.numbers.values.tolist(), strict=True)
        for place, mine in groupby(pairs, key=lambda pair: pair[0].place):
            yield place, list(mine)


def _origin(label: Origin, born: str, edge: _Edge, norm: float) -> Origin:
    return Origin(
        born=born,
        op=label.op,
        node=label.node,
        module=label.module,
        site=label.site,
        shape=edge.shape,
        dtype=edge.dtype,
        nan=int(math.isnan(norm)),
        inf=int(math.isinf(norm)),
    )
