"""Which parameters lie between the loss and another parameter, as a backward graph has it."""

from __future__ import annotations

from collections.abc import Mapping

from graddebug.capture.parameters import ParameterTable
from graddebug.graph import BackwardGraph, GraphNode
from graddebug.records import ParameterSet

#: Nodes of graphs that are kept at most; the oldest graphs go first.
_NODES_KEPT = 50_000


class Fronts:
    """The newest graphs of a run, asked what lies in front of a parameter."""

    def __init__(self, table: ParameterTable) -> None:
        self._table = table
        self._graphs: dict[str, BackwardGraph] = {}
        self._behind: dict[str, Mapping[int, int]] = {}

    def add(self, graph: BackwardGraph) -> None:
        """Remember a graph."""
        self._graphs[graph.hash] = graph
        while len(self._graphs) > 1 and sum(len(one.nodes) for one in self._graphs.values()) > _NODES_KEPT:
            oldest = next(iter(self._graphs))
            del self._graphs[oldest]
            self._behind.pop(oldest, None)

    def of(self, graph: str, parameter: int) -> ParameterSet:
        """Parameters whose modules gradients come through on their way to ``parameter``; empty if unknown."""
        if graph not in self._graphs:
            return ()
        if graph not in self._behind:
            modules = {info.index: info.module for info in self._table.infos}
            self._behind[graph] = behind(self._graphs[graph], modules)
        bit = 1 << parameter
        return self._table.intern(i for i, mask in self._behind[graph].items() if mask & bit)


def behind(graph: BackwardGraph, modules: Mapping[int, str]) -> dict[int, int]:
    """For each parameter those that its own module's ops pass gradients on to, as a set of bits.

    An op uses a parameter where a child of its node leads to that one only, and both were made in the module
    that owns it: a penalty on a weight, which is added to the loss, does not count.
    """
    reach = [0] * len(graph.nodes)
    found: dict[int, int] = {}
    for node in reversed(list(graph.topological())):
        if node.parameter is not None:
            reach[node.index] = 1 << node.parameter
        children = [reach[child] for child, _ in node.next]
        for mask in children:
            reach[node.index] |= mask
        for parameter in _used(node, children, modules):
            found[parameter] = found.get(parameter, 0) | (reach[node.index] & ~_own(children, node, modules))
    return found


def _used(node: GraphNode, children: list[int], modules: Mapping[int, str]) -> list[int]:
    """The parameters of its own module that a node uses."""
    if not node.module:
        return []
    single = {mask.bit_length() - 1 for mask in children if mask and not mask & (mask - 1)}
    return [parameter for parameter in single if modules.get(parameter) == node.module]


def _own(children: list[int], node: GraphNode, modules: Mapping[int, str]) -> int:
    return sum(1 << parameter for parameter in _used(node, children, modules))
