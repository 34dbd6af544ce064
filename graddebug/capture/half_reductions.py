"""Which ops of a backward graph reduced float16 numbers to few, though float32 is the place for that.

Autocast runs losses, sums and norms in float32; a program computes them in float16 by accident: its model
is float16 altogether, or the loss stands outside of the autocast region. Only the structure is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from graddebug.graph import BackwardGraph, GraphNode

#: Losses that are one op, by autograd's name without ``Backward0``.
LOSSES = frozenset(
    {
        *("NllLoss", "NllLoss2D", "MseLoss", "SmoothL1Loss", "HuberLoss", "KlDiv", "CtcLoss"),
        *("BinaryCrossEntropy", "BinaryCrossEntropyWithLogits", "SoftMarginLoss"),
        *("MultiMarginLoss", "MultilabelMarginLoss"),
    }
)

#: Reductions whose result grows with the number of elements. A softmax, a variance and a mean are none: torch
#: adds up in float32 inside (2.13), and their results are no larger than what went in.
SUMS = frozenset({"Sum", "Norm", "LinalgVectorNorm", "Cumsum", "Prod"})

#: What makes the mean of it a sum in disguise: squares overflow from 256 on.
_GROWING = frozenset({"Pow", "Exp"})

#: Elements that are added up at least, and reductions told of one graph at most.
SHORTEST, MOST = 256, 16


@dataclass(frozen=True, slots=True)
class Reduction:
    """One such op: ``elements`` are added up for each result; 0 where that is not known."""

    node: GraphNode
    elements: int
    loss: bool


def half_reductions(graph: BackwardGraph) -> list[Reduction]:
    """The losses and the longest sums that were computed in float16, losses first."""
    found = sorted(_found(graph), key=lambda one: (not one.loss, -one.elements))
    return found[:MOST]


def _found(graph: BackwardGraph) -> Iterator[Reduction]:
    for node in graph.nodes:
        if node.dtypes[:1] != ("float16",):
            continue
        op = stem(node)
        if op in LOSSES:
            yield Reduction(node, _elements(graph, node), loss=True)
        elif op in SUMS or _mean_of_powers(graph, node):
            elements = _elements(graph, node)
            if elements >= SHORTEST:
                yield Reduction(node, elements, loss=False)


def stem(node: GraphNode) -> str:
    """Autograd's name of an op without its ending."""
    return node.op.partition("Backward")[0]


def _mean_of_powers(graph: BackwardGraph, node: GraphNode) -> bool:
    return stem(node) == "Mean" and any(stem(graph.nodes[target]) in _GROWING for target, _ in node.next)


def _elements(graph: BackwardGraph, node: GraphNode) -> int:
    """How many elements of its input are added up for one of its results."""
    saved = next((one.shape for one in node.saved if one.name == "self"), ())
    shapes = [graph.nodes[target].shapes[slot] for target, slot in node.next[:1]]
    came = math.prod(shapes[0] if shapes else saved)
    if came < 1 or not node.shapes:
        return 0
    left = node.shapes[0]
    return max(left, default=1) if stem(node) == "Cumsum" else came // max(math.prod(left), 1)
