"""The backward graph of one ``backward()``: nodes, edges, module paths, and the views people ask for.

Plain values and networkx only; building one from autograd nodes is the business of
`graddebug.capture.graph`. Edges point the way gradients flow: from the loss to the parameters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx

    from graddebug.records import Site


@dataclass(frozen=True, slots=True)
class SavedTensor:
    """A tensor that a node keeps for its backward: ``name`` is autograd's (``self``, ``result`` …).

    ``packed`` is True where a saved-tensor hook (checkpointing, off-loading) holds something else in
    its place; shape and bytes are then unknown.
    """

    name: str
    shape: tuple[int, ...] = ()
    dtype: str = ""
    bytes: int = 0
    packed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNode:
    """One autograd node.

    ``op`` is its name (``AddmmBackward0``), ``module`` the qualified name of the innermost watched
    module whose forward made it, ``shapes`` and ``dtypes`` those of the forward op's outputs (the
    gradients that come in), ``parameter`` the index of the parameter an ``AccumulateGrad`` writes.
    ``next`` are the nodes it sends gradients to, as (node index, which of that node's outputs).
    ``site`` is the place of the user's line of the forward op in the graph's `BackwardGraph.sites`.
    """

    index: int
    op: str
    module: str = ""
    shapes: tuple[tuple[int, ...], ...] = ()
    dtypes: tuple[str, ...] = ()
    parameter: int | None = None
    saved: tuple[SavedTensor, ...] = ()
    next: tuple[tuple[int, int], ...] = ()
    site: int | None = None

    @property
    def saved_bytes(self) -> int:
        """Bytes of all tensors this node keeps for backward."""
        return sum(tensor.bytes for tensor in self.saved)


@dataclass(frozen=True)
class BackwardGraph:
    """All nodes reachable from the roots of one backward, in breadth-first order from the roots.

    ``hash`` names the structure (ops, edges, parameters): shapes and lines are those of the first
    backward that had it. ``sites`` are the user's lines that its nodes' forward ops ran at, each once.
    """

    hash: str
    nodes: tuple[GraphNode, ...]
    roots: tuple[int, ...] = (0,)
    sites: tuple[Site, ...] = ()

    def site_of(self, node: GraphNode) -> Site | None:
        """The user's line of a node's forward op, where it was noted."""
        return None if node.site is None else self.sites[node.site]

    @property
    def saved_bytes(self) -> int:
        """Bytes the whole graph keeps for backward; a tensor saved twice counts twice."""
        return sum(node.saved_bytes for node in self.nodes)

    @cached_property
    def parameters(self) -> tuple[int, ...]:
        """Parameters the graph ends in, sorted."""
        return tuple(sorted({n.parameter for n in self.nodes if n.parameter is not None}))

    def networkx(self) -> networkx.DiGraph[int]:
        """The graph as a `networkx.DiGraph` of node indices with the node's fields as attributes."""
        import networkx as nx

        graph: networkx.DiGraph[int] = nx.DiGraph(hash=self.hash)
        for node in self.nodes:
            graph.add_node(
                node.index,
                op=node.op,
                module=node.module,
                shapes=node.shapes,
                dtypes=node.dtypes,
                parameter=node.parameter,
                saved_bytes=node.saved_bytes,
                site=self.site_of(node),
            )
            graph.add_edges_from((node.index, child) for child, _ in node.next)
        return graph

    def topological(self) -> Iterator[GraphNode]:
        """Nodes in an order in which gradients can flow: each after all that send to it."""
        waiting = [0] * len(self.nodes)
        for node in self.nodes:
            for child, _ in node.next:
                waiting[child] += 1
        ready = deque(node.index for node in self.nodes if not waiting[node.index])
        while ready:
            node = self.nodes[ready.popleft()]
            yield node
            for child, _ in node.next:
                waiting[child] -= 1
                if not waiting[child]:
                    ready.append(child)

    def path_to(self, parameter: int) -> tuple[GraphNode, ...]:
        """A shortest path of nodes from a root to ``parameter``; empty if none leads there."""
        came_from: dict[int, int] = dict.fromkeys(self.roots, -1)
        queue = deque(self.roots)
        while queue:
            index = queue.popleft()
            if self.nodes[index].parameter == parameter:
                return self._unwind(came_from, index)
            for child, _ in self.nodes[index].next:
                if child not in came_from:
                    came_from[child] = index
                    queue.append(child)
        return ()

    def _unwind(self, came_from: dict[int, int], index: int) -> tuple[GraphNode, ...]:
        path = []
        while index >= 0:
            path.append(self.nodes[index])
            index = came_from[index]
        return tuple(reversed(path))

    def neighbourhood(self, index: int, radius: int = 1) -> frozenset[int]:
        """Indices of the nodes within ``radius`` edges of a node, in either direction."""
        import networkx as nx

        return frozenset(nx.ego_graph(self.networkx(), index, radius=radius, undirected=True))

    def fold(self) -> ModuleFold:
        """The graph folded into its module tree."""
        root = ModuleFold(name="")
        for node in self.nodes:
            root.add(node)
        return root


class ModuleFold:
    """A module and what the graph did in it: own nodes, child modules, and sums over both."""

    def __init__(self, *, name: str) -> None:
        self.name = name
        self.nodes: list[GraphNode] = []
        self.children: dict[str, ModuleFold] = {}
        self.node_count = 0
        self.saved_bytes = 0

    def add(self, node: GraphNode) -> None:
        """Sort one node into the tree by its module path."""
        fold = self
        fold._count(node)
        for part in node.module.split(".") if node.module else ():
            name = f"{fold.name}.{part}" if fold.name else part
            fold = fold.children.setdefault(name, ModuleFold(name=name))
            fold._count(node)
        fold.nodes.append(node)

    def _count(self, node: GraphNode) -> None:
        self.node_count += 1
        self.saved_bytes += node.saved_bytes

    def walk(self, depth: int = 0) -> Iterator[tuple[int, ModuleFold]]:
        """Yield this fold and all below it, parents first, with their depth."""
        yield depth, self
        for child in self.children.values():
            yield from child.walk(depth + 1)
