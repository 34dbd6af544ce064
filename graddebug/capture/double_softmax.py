"""Softmaxes whose output goes straight into a log-softmax, as a backward graph shows.

Only the structure is read, and of the nodes in question the dimension that they run over. Log-softmax of a
log-softmax is none: it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from graddebug.capture import underscored
from graddebug.graph import BackwardGraph, GraphNode

#: What changes neither values nor shape, by autograd's name without ``Backward0``.
_KEEPS = frozenset({"Clone", "Alias", "ToCopy"})

#: What only moves values about, or leaves some out.
_MOVES = _KEEPS | {
    *("View", "UnsafeView", "ReshapeAlias", "Transpose", "T", "Mt", "Permute", "Squeeze", "Unsqueeze"),
    *("Slice", "Select", "Index", "IndexSelect", "Expand", "Split", "SplitWithSizes", "Unbind"),
    *("Cat", "Stack"),
}

#: Told of one graph at most.
_MOST = 4


@dataclass(frozen=True, slots=True)
class SoftmaxTwice:
    """``outer`` is a log-softmax over ``classes`` numbers that ``inner``, a softmax, has made."""

    outer: GraphNode
    inner: GraphNode
    classes: int


def softmaxes_twice(graph: BackwardGraph, nodes: Sequence[Any]) -> list[SoftmaxTwice]:
    """Those of a graph; ``nodes`` are autograd's own, in the graph's order."""
    return list(_found(graph, nodes))[:_MOST]


def _found(graph: BackwardGraph, nodes: Sequence[Any]) -> Iterator[SoftmaxTwice]:
    for outer in graph.nodes:
        if outer.op == "LogSoftmaxBackward0":
            inner, moved = _made_by(graph, outer)
            classes = _classes(outer, nodes)
            if not inner or classes < 2 or any(_classes(one, nodes) != classes for one in inner):
                continue
            if moved or _dimension(outer, nodes) == _dimension(inner[0], nodes):
                yield SoftmaxTwice(outer, inner[0], classes)


def _made_by(graph: BackwardGraph, outer: GraphNode) -> tuple[list[GraphNode], bool]:
    """The softmaxes that all its input comes from (none if other does), and whether that was reshaped."""
    found, moved, queue = [], False, [target for target, _ in outer.next]
    for index in queue:  # grows while we walk
        node = graph.nodes[index]
        stem = node.op.partition("Backward")[0]
        if stem == "Softmax":
            found.append(node)
        elif stem in _MOVES:
            moved = moved or stem not in _KEEPS
            queue += [target for target, _ in node.next if target not in queue]
        else:
            return [], False
    return found, moved


def _dimension(node: GraphNode, nodes: Sequence[Any]) -> int:
    """The dimension that it runs over, counted from the front."""
    return underscored.saved_dimension(nodes[node.index]) % max(len(node.shapes[0]), 1)


def _classes(node: GraphNode, nodes: Sequence[Any]) -> int:
    shape = node.shapes[0] if node.shapes else ()
    return shape[_dimension(node, nodes)] if shape else 0
