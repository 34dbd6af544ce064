"""One backward whose every node is measured: what norms went through it, and where they stopped being finite.

A hook behind each node sees what came in and what goes out, takes numbers and lets the tensors go. Nodes
that only move values about, and those that write a parameter's ``.grad``, get none: the first pass on what
they were given, and a hook on the second would make autograd copy the gradient it now hands over.

The measure holds the graph's nodes, so it lives no longer than its backward.
"""

from __future__ import annotations

import math
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from graddebug.capture import underscored
from graddebug.capture.deferred import DeferredNorms
from graddebug.capture.graph import ACCUMULATE_GRAD, Walk
from graddebug.capture.half import HALF, HalfSamples
from graddebug.capture.norms import norm_of, plain_norm
from graddebug.capture.operands import (
    IndexOf,
    dtype_name,
    elements_of,
    is_finite,
    is_readable,
    on_host,
    saved_operands,
)
from graddebug.records import NODE_STATISTICS, Origin

#: Nodes whose gradient is the one they were given, in another shape or place.
MOVES = frozenset(
    name + "Backward0"
    for name in (
        *("View", "UnsafeView", "T", "Transpose", "Permute", "ReshapeAlias", "Unsqueeze", "Squeeze"),
        *("Clone", "Alias", "Split", "SplitWithSizes", "Detach", "Movedim", "Swapaxes", "UnsafeSplit"),
    )
)

#: They choose between values: behind them an op's bad value does not show in the forward.
MASKS = frozenset(
    name + "Backward0"
    for name in ("Where", "MaskedFill", "MaskedScatter", "MaskedSelect", "Index", "IndexPut", "NanToNum")
)

#: Nodes looked at above a producer for the mask it lies behind.
_MASK_WITHIN = 12

#: Origins kept of one backward: one bad value may be born at many nodes.
ORIGINS = 8

#: Stands in place of an op where several finite gradients came together and their sum was not finite.
GRADIENT_SUM = "sum of gradients"

#: A finite gradient that grows by less is ordinary.
AMPLIFIED = 1e4

Table = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to hook in graphs of one structure.

    ``targets`` are, for each node, the nodes that its gradients go to, past those that only move them;
    ``roots`` those the backward begins at, and ``look_in`` those and the ones whose incoming gradient is a
    sum of several.
    """

    hooked: tuple[int, ...]
    targets: tuple[tuple[int, ...], ...]
    roots: frozenset[int]
    look_in: frozenset[int]


def plan_of(seen: Walk) -> Plan:
    """Decide what to hook; the same for all graphs of the structure."""
    places = {node: place for place, node in enumerate(seen.nodes)}
    moves = {place for place, node in enumerate(seen.nodes) if underscored.node_name(node) in MOVES}
    children = [
        tuple(-1 if child is None else places[child] for child, _ in node.next_functions)
        for node in seen.nodes
    ]

    def final(place: int) -> int:
        while place in moves and children[place]:
            place = children[place][0]
        return place

    targets = tuple(tuple(final(child) if child >= 0 else -1 for child in mine) for mine in children)
    roots = frozenset(final(root) for root in range(seen.roots))
    met = dict.fromkeys(roots, 2)
    for place, mine in enumerate(targets):
        for target in () if place in moves else mine:
            met[target] = met.get(target, 0) + 1
    hooked = tuple(
        place
        for place, node in enumerate(seen.nodes)
        if place not in moves and type(node) is not ACCUMULATE_GRAD
    )
    return Plan(hooked, targets, roots, frozenset(place for place, count in met.items() if count > 1))


@dataclass(slots=True)
class Worst:
    """The node that multiplied the norm of a finite gradient most."""

    ratio: float = AMPLIFIED
    norm_in: float = 0.0
    norm_out: float = 0.0
    origin: Origin | None = None


class NodeMeasure:
    """Hooks on the nodes of one graph, from just before its backward to its end.

    Gradients on a device are looked at at once only with ``wait``; else their norms are read afterwards.
    """

    def __init__(
        self, seen: Walk, plan: Plan, index_of: IndexOf, fail: Callable[[Exception], None], *, wait: bool
    ) -> None:
        began = time.perf_counter()
        self.nodes = seen.nodes
        self._plan = plan
        self.roots = plan.roots
        self._index_of = index_of
        self._fail = fail
        self._wait = wait
        self.norms: list[tuple[int, float, float]] = []
        self.half = HalfSamples()
        self.deferred = DeferredNorms()
        self.origins: list[Origin] = []
        self.worst = Worst()
        #: Norm of what came into each node over its one edge; nodes into which non-finite numbers came.
        self._came_in: dict[int, float] = {}
        self._bad: set[int] = set()
        self._told_inside = False
        measured = weakref.ref(self)
        self._handles = [seen.nodes[place].register_hook(_hook(measured, place)) for place in plan.hooked]
        self.spent = time.perf_counter() - began

    def told_inside(self, origins: Sequence[Origin]) -> None:
        """A backward inside the node that is running (a checkpoint's) has told where it went wrong."""
        self.origins += [replace(origin, node=-1) for origin in origins]
        self._told_inside = bool(origins)

    def detach(self) -> None:
        """Take the hooks off and let the nodes go."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.nodes = []

    def table(self, count: int) -> Table:
        """The numbers of a graph of so many nodes, as `NODE_STATISTICS`; NaN that was sent on is inf."""
        values = np.full((count, len(NODE_STATISTICS)), np.nan, dtype=np.float32)
        with np.errstate(over="ignore"):
            if self.norms:
                places, came, went = np.array(self.norms).T
                values[places.astype(np.intp), 0] = came
                values[places.astype(np.intp), 1] = np.where(np.isnan(went), np.inf, went)
            for summary in self.half.summaries():
                for place, *row in summary.rows:
                    values[place, 2:] = row
        return values

    # --- told by the hooks ------------------------------------------------------------------------

    def ran(self, place: int, going_out: Sequence[Any], coming_in: Sequence[Any]) -> None:
        """A node was run. Whatever goes wrong here must not end the user's backward."""
        began = time.perf_counter()
        try:
            with underscored.unoverridden():
                if torch.is_grad_enabled() or underscored.is_observed():
                    with underscored.alone():  # 5 us: seldom needed, as a backward seldom builds a graph
                        self._ran(place, going_out, coming_in)
                else:
                    self._ran(place, going_out, coming_in)
        except Exception as error:
            self._fail(error)
        self.spent += time.perf_counter() - began

    def _ran(self, place: int, going_out: Sequence[Any], coming_in: Sequence[Any]) -> None:
        norm_in = self._norm_in(place, coming_in) if place in self._plan.look_in else self._came_in.get(place)
        squares, bad = 0.0, None
        for target, tensor in zip(self._plan.targets[place], going_out, strict=False):
            if tensor is None:
                continue
            norm = plain_norm(tensor)
            ordinary = norm >= 0
            if not ordinary:
                if not self._readable(tensor):
                    self._defer(place, target, tensor)
                    continue
                norm = norm_of(tensor)
            squares += norm * norm
            self._came_in[target] = norm
            if not norm < math.inf and self._is_bad(place, norm, tensor):
                self._bad.add(target)
                bad = tensor if bad is None else bad
            if not ordinary and tensor.dtype in HALF:
                self._sample(place, tensor, coming_in, norm)
        norm_in, norm_out = math.nan if norm_in is None else norm_in, math.sqrt(squares)
        self.norms.append((place, norm_in, norm_out))
        inside, self._told_inside = self._told_inside, False
        if bad is not None and place not in self._bad and not inside and len(self.origins) < ORIGINS:
            self.origins.append(self._origin(place, "backward", bad, coming_in, norm_in))
        elif (
            norm_out > norm_in * self.worst.ratio
            and norm_in > 0
            and norm_out < math.inf
            and place not in self._plan.roots  # a loss scaler's own multiplication
        ):
            origin = self._origin(place, "backward", going_out[0], coming_in, norm_in)
            self.worst = Worst(norm_out / norm_in, norm_in, norm_out, origin)

    def _readable(self, tensor: Any) -> bool:
        return is_readable(tensor) and (self._wait or on_host(tensor))

    def _defer(self, place: int, target: int | None, tensor: Any) -> None:
        if is_readable(tensor):
            self.deferred.take(place, target, tensor)

    def _is_bad(self, place: int, norm: float, tensor: torch.Tensor) -> bool:
        """Whether it holds NaN or inf; the norm of huge finite numbers is inf, too."""
        return math.isnan(norm) or place in self._bad or not elements_of(tensor).finite

    def _norm_in(self, place: int, coming_in: Sequence[Any]) -> float:
        squares = 0.0
        for tensor in coming_in:
            if not self._readable(tensor):
                self._defer(place, None, tensor)
            else:
                norm = norm_of(tensor)
                squares += norm * norm
                if not math.isfinite(norm) and place not in self._bad and not is_finite(tensor):
                    self._bad.add(place)
                    self._came_bad(place, tensor)
        return math.sqrt(squares)

    def _came_bad(self, place: int, tensor: torch.Tensor) -> None:
        """Nobody sent it anything bad: the backward began so, or finite gradients had a sum that is not."""
        origin = self._origin(place, "root", tensor, (), math.nan)
        if place not in self._plan.roots:
            origin = replace(origin, born="backward", op=GRADIENT_SUM, operands=())
        self.origins.append(origin)

    def _sample(self, place: int, tensor: torch.Tensor, coming_in: Sequence[Any], norm: float) -> None:
        before: torch.Tensor | None = coming_in[0] if coming_in else None
        if before is None or not self._readable(before) or before.dtype in HALF:
            before = None  # it is no cast
        self.half.take(place, tensor, before, norm)

    def _origin(
        self, place: int, born: str, bad: torch.Tensor, coming_in: Sequence[Any], norm_in: float
    ) -> Origin:
        node, found = self.nodes[place], elements_of(bad)
        came = [elements_of(tensor) for tensor in coming_in if self._readable(tensor)]
        return Origin(
            born=born,
            op=underscored.node_name(node),
            node=place,
            shape=underscored.shape_of(bad),
            dtype=dtype_name(bad),
            nan=found.nan,
            inf=found.inf,
            numel=found.numel,
            incoming=norm_in,
            incoming_zeros=sum(one.zeros for one in came),
            incoming_numel=sum(one.numel for one in came),
            operands=saved_operands(node, self._index_of),
        )

    # --- asked at the end ---------------------------------------------------------------------------

    def mask_above(self, place: int) -> int | None:
        """The nearest node towards the loss that chooses between values, over nodes of equal shape only."""
        shape = _shape(self.nodes[place])
        reached, queue = {place}, deque([place])
        while queue and len(reached) <= _MASK_WITHIN:
            here = queue.popleft()
            for parent in self._senders(here):
                if underscored.node_name(self.nodes[parent]) in MASKS:
                    return parent
                if parent not in reached and _shape(self.nodes[parent]) == shape:
                    reached.add(parent)
                    queue.append(parent)
        return None

    def _senders(self, place: int) -> list[int]:
        return [parent for parent in self._plan.hooked if place in self._plan.targets[parent]]


def _shape(node: Any) -> tuple[int, ...]:
    metadata = underscored.gradient_metadata(node)
    return metadata[0][0] if metadata else ()


def _hook(measured: weakref.ref[NodeMeasure], place: int) -> Callable[[Any, Any], None]:
    """A hook that knows its node by place only: one that held the node would keep the graph alive."""

    def after(going_out: Any, coming_in: Any) -> None:
        if torch.compiler.is_compiling() or (one := measured()) is None:
            return
        one.ran(place, going_out, coming_in)

    return after
