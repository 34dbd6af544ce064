"""The backward graph as autograd holds it just before a backward runs.

Two passes: a quick walk for every backward (0.25 us a node) that yields the structure's signature
and the parameters it reaches, and a full description, only for structures not seen before.
No node or tensor outlives the call that reads it.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from graddebug.capture import underscored
from graddebug.capture.modules import ModuleIntervals
from graddebug.graph import BackwardGraph, GraphNode, SavedTensor
from graddebug.records import Site

ACCUMULATE_GRAD = underscored.accumulate_grad_type()

#: What older releases of torch do not show without unpacking it, which could run a checkpoint again.
SAVED_TENSORS = "what nodes save for backward"

#: Seconds that describing new structures may take: a flat allowance, and a share of the time watched.
DESCRIBE_SECONDS, DESCRIBE_SHARE = 1.0, 0.01


#: The user's line of each node, by the nodes' sequence numbers.
LinesOf = Callable[[Sequence[int]], Sequence[Site | None]]


@dataclass(slots=True)
class Walk:
    """All nodes reachable from the roots, breadth first, with their structure as one flat tuple.

    Holds autograd nodes: let it go before the backward runs.
    """

    nodes: list[Any]
    leaves: list[torch.Tensor]
    structure: list[Any]
    roots: int


def walk(roots: Sequence[Any], index_of: Callable[[torch.Tensor], int | None]) -> Walk:
    """Walk the graph from root nodes (``grad_fn`` of the backward's roots).

    ``index_of`` names the parameters, so that the structure is the same in every step although the
    inputs that want gradients are other tensors each time.
    """
    places: dict[Any, int] = {}
    nodes: list[Any] = []
    for root in roots:
        if root not in places:
            places[root] = len(nodes)
            nodes.append(root)
    result = Walk(nodes, [], [], len(nodes))
    structure = result.structure
    for node in nodes:  # grows while we walk
        kind = type(node)
        structure.append(kind)
        if kind is ACCUMULATE_GRAD:
            leaf = node.variable
            structure.append(index_of(leaf))
            result.leaves.append(leaf)
            continue
        for child, _ in node.next_functions:
            if child is None:
                structure.append(-1)
                continue
            place = places.get(child)
            if place is None:
                place = places[child] = len(nodes)
                nodes.append(child)
            structure.append(place)
    return result


def structure_key(seen: Walk) -> int:
    """Equal for graphs of one structure, within this process."""
    return hash(tuple(seen.structure))


def root_nodes(roots: Sequence[Any]) -> list[Any]:
    """The autograd nodes a backward starts from; leaves have none."""
    nodes = [
        root.grad_fn if isinstance(root, torch.Tensor) else getattr(root, "node", None) for root in roots
    ]
    return [node for node in nodes if node is not None]


class GraphCatalogue:
    """Hashes of the structures seen in a run; describes each new one once, within an allowance of time."""

    def __init__(
        self, announce: Callable[[BackwardGraph, Sequence[Any]], None], decline: Callable[[str, str], None]
    ) -> None:
        self._announce = announce
        self._decline = decline
        self._known: dict[int, str] = {}
        #: Op and module of each node, by the graph's hash.
        self.described: dict[str, tuple[tuple[str, str], ...]] = {}
        self._spent = 0.0
        self._since = time.monotonic()

    def hash_of(
        self,
        seen: Walk,
        key: int,
        parameter_of: Callable[[torch.Tensor], int | None],
        intervals: ModuleIntervals,
        lines: LinesOf,
    ) -> str | None:
        """The structure's hash, storing the graph the first time; None when it was not described.

        ``key`` is `structure_key` of what was seen.
        """
        if key in self._known:
            return self._known[key]
        if self._spent > DESCRIBE_SECONDS + DESCRIBE_SHARE * (time.monotonic() - self._since):
            self._decline(
                "backward graph",
                "so many different graph structures that describing each would slow the training",
            )
            return None
        if not underscored.SAVED_READABLE:
            self._decline(SAVED_TENSORS, f"torch {torch.__version__} does not show it")
        began = time.monotonic()
        graph = describe(seen, parameter_of, intervals, lines)
        self._known[key] = graph.hash
        self.described[graph.hash] = tuple((node.op, node.module) for node in graph.nodes)
        self._announce(graph, seen.nodes)
        self._spent += time.monotonic() - began
        return graph.hash


def describe(
    seen: Walk,
    parameter_of: Callable[[torch.Tensor], int | None],
    intervals: ModuleIntervals,
    lines: LinesOf,
) -> BackwardGraph:
    """Everything worth keeping about a graph, as plain values."""
    places = {node: place for place, node in enumerate(seen.nodes)}
    numbers = [underscored.node_sequence_number(node) for node in seen.nodes]
    modules = intervals.place(threading.get_ident(), numbers)
    at = lines(numbers)
    sites: dict[Site | None, int] = {}
    for site in at:
        if site is not None:
            sites.setdefault(site, len(sites))
    nodes = []
    for place, node in enumerate(seen.nodes):
        metadata = underscored.gradient_metadata(node)
        is_leaf = type(node) is ACCUMULATE_GRAD
        nodes.append(
            GraphNode(
                index=place,
                op=underscored.node_name(node),
                module=modules[place],
                site=sites.get(at[place]),
                shapes=tuple(shape for shape, _ in metadata),
                dtypes=tuple(dtype for _, dtype in metadata),
                parameter=parameter_of(node.variable) if is_leaf else None,
                saved=() if is_leaf else saved_tensors(node),
                next=tuple((places[child], slot) for child, slot in node.next_functions if child is not None),
            )
        )
    return BackwardGraph(_hash(nodes), tuple(nodes), tuple(range(seen.roots)), tuple(filter(None, sites)))


def saved_tensors(node: Any) -> tuple[SavedTensor, ...]:
    """What a node keeps for its backward, without unpacking it."""
    return tuple(
        SavedTensor(
            name=name,
            shape=underscored.shape_of(tensor) if tensor is not None else (),
            dtype=str(tensor.dtype).removeprefix("torch.") if tensor is not None else "",
            bytes=tensor_bytes(tensor) if tensor is not None else 0,
            packed=packed,
        )
        for name, tensor, packed in underscored.raw_saved(node)
    )


def tensor_bytes(tensor: torch.Tensor) -> int:
    """Bytes of a tensor's elements; 0 where that has no meaning (symbolic, opaque)."""
    try:
        return int(tensor.numel()) * tensor.element_size()
    except RuntimeError:
        return 0


def bytes_held(roots: Sequence[Any]) -> int:
    """Bytes a graph keeps for backward: each storage once, parameters (alive anyway) left out."""
    held: dict[int, int] = {}
    seen = walk(roots, lambda _: None)
    leaves = {leaf.data_ptr() for leaf in seen.leaves if leaf.layout is torch.strided}
    for node in seen.nodes:
        for _, tensor, _ in underscored.raw_saved(node):
            if tensor is None or tensor.layout is not torch.strided:
                continue
            pointer = tensor.data_ptr()
            if pointer not in leaves:
                held[pointer] = max(held.get(pointer, 0), tensor_bytes(tensor))
    return sum(held.values())


def _hash(nodes: Sequence[GraphNode]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for node in nodes:
        digest.update(repr((node.op, node.parameter, node.next)).encode())
    return digest.hexdigest()
