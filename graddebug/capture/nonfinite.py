"""What is told of a backward in whose loss or gradients NaN or inf showed up, and of its measured numbers."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from graddebug.capture import underscored
from graddebug.capture.deferred import Asked
from graddebug.capture.examine import first_bad
from graddebug.capture.frontier import frontier
from graddebug.capture.graph import GraphCatalogue, Walk
from graddebug.capture.half import HALF
from graddebug.capture.measuring import Measuring
from graddebug.capture.modules import ModuleIntervals
from graddebug.capture.nodes import NodeMeasure
from graddebug.capture.operands import IndexOf
from graddebug.capture.readback import Readback
from graddebug.capture.sites import of_function
from graddebug.records import Amplified, Event, HalfMeasured, NodeTable, Origin, Site

#: What makes an event of its fields.
Making = Callable[..., Event]


def _nowhere(bad: Collection[int], healthy: Collection[int]) -> tuple[Origin, ...]:
    return ()


@dataclass(slots=True)
class Watched:
    """What is kept of a backward from its begin to its end."""

    structure: list[Any]
    graph: str | None
    measure: NodeMeasure | None
    lost: bool = False
    forward: Origin | None = None
    nearby: Origin | None = None


@dataclass(frozen=True, slots=True)
class Late:
    """Norms that are still on a device, and what the nodes are called that they belong to."""

    asked: Asked
    labels: tuple[Origin, ...]
    roots: frozenset[int]

    def origins(self) -> tuple[Origin, ...]:
        """Where the bad numbers were born; once all is read back."""
        return self.asked.origins(self.labels.__getitem__, self.roots)


@dataclass(frozen=True, slots=True)
class Found:
    """What a backward showed, as plain values: the graph is gone by now.

    ``narrow`` tells from bad and healthy parameters what can be told without ``origins``.
    """

    origins: tuple[Origin, ...] = ()
    narrow: Callable[[Collection[int], Collection[int]], tuple[Origin, ...]] = _nowhere
    measured: bool = False
    events: tuple[tuple[Making, dict[str, Any]], ...] = ()
    table: NodeTable | None = None
    late: Late | None = None
    alarmed: bool = False

    def settled(self, bad: Collection[int], healthy: Collection[int], *, lost: bool) -> dict[str, Any]:
        """The words of a `Nonfinite` event, once all is read back. ``lost``: the loss was not finite."""
        origins = self.origins
        if self.late is not None and not origins and not lost:
            origins = self.late.origins()
        between = () if origins else self.narrow(bad, healthy)
        return {"origins": origins, "between": between, "captured": bool(origins)}

    def finished_table(self) -> NodeTable | None:
        """The table of nodes with the numbers that came late."""
        if self.table is not None and self.late is not None:
            with np.errstate(over="ignore"):
                for place, norm_in, norm_out in self.late.asked.rows():
                    self.table.values[place, :2] = norm_in, np.inf if np.isnan(norm_out) else norm_out
        return self.table


class Nonfinites:
    """Begins and ends the measuring of each backward."""

    def __init__(
        self,
        measuring: Measuring,
        graphs: GraphCatalogue,
        intervals: ModuleIntervals,
        readback: Readback,
        index_of: IndexOf,
    ) -> None:
        self._readback = readback
        self._measuring = measuring
        self._graphs = graphs
        self._intervals = intervals
        self._index_of = index_of

    def begin(self, seen: Walk, key: int, graph: str | None, loss: float | None) -> Watched:
        """A backward is about to run; ``loss`` is its value if that is known without waiting."""
        if self._measuring.ops.unused.waiting:
            self._measuring.ops.unused.used({underscored.node_sequence_number(node) for node in seen.nodes})
        watched = Watched(seen.structure, graph, self._measuring.backward(seen, key))
        if loss is not None and not math.isfinite(loss):
            watched.lost = True
            watched.forward = self._forward(seen.nodes, 0, nan=math.isnan(loss))
            nearby = None if watched.forward else first_bad(seen, self._index_of)
            if nearby is not None:
                watched.nearby = self._placed(nearby, seen.nodes[nearby.node])
        return watched

    def _forward(self, nodes: Sequence[Any], below: int, *, nan: bool) -> Origin | None:
        """Where what came into a node of the graph first was NaN (or inf), of what the ops have shown.

        NaN made out of an inf is the doing of the op that made the inf.
        """
        numbers = _numbers_below(nodes, below)
        found = self._measuring.ops.origins(numbers)
        first = next((one for one in found if not nan or one[0].nan), None)
        if first is None:
            return None
        if any(operand.inf for operand in first[0].operands):
            inside = _numbers_below(nodes, numbers[first[1]])
            made = (one for one in found if one[1] in inside and not _is_mask(one[0]))
            first = next(made, first)
        origin, number = first
        module = origin.module or self._modules([number])[0]
        return replace(origin, node=numbers[number], module=module)

    def _modules(self, numbers: list[int]) -> list[str]:
        return self._intervals.place(threading.get_ident(), numbers)

    def _placed(self, origin: Origin, node: Any) -> Origin:
        number = underscored.node_sequence_number(node)
        site = origin.site or self._measuring.ops.sites_of([number])[0] or _own_backward(node)
        return replace(origin, module=origin.module or self._modules([number])[0], site=site)

    # --- the end --------------------------------------------------------------------------------------

    def end(self, watched: Watched, bad: Collection[int], healthy: Collection[int]) -> Found:
        """A backward is over that wrote these parameters: what was measured."""
        measure, trouble = watched.measure, bool(bad) or watched.lost
        if trouble:
            self.alarm()
        narrow = partial(self._between, watched)
        if measure is None:
            return Found(narrow=narrow, alarmed=trouble)
        return Found(
            origins=self._origins(watched, measure) if trouble or measure.origins else (),
            narrow=narrow,
            measured=True,
            events=(*self._amplified(measure), *self._half(measure)),
            table=self._table(watched, measure),
            late=self._late(measure),
            alarmed=trouble,
        )

    def alarm(self) -> None:
        """Something is wrong: measure what comes next."""
        self._measuring.alarm()

    def _late(self, measure: NodeMeasure) -> Late | None:
        asked = measure.deferred.ask(self._readback)
        if asked is None:
            return None
        numbers = [underscored.node_sequence_number(node) for node in measure.nodes]
        places = zip(
            measure.nodes, self._modules(numbers), self._measuring.ops.sites_of(numbers), strict=True
        )
        labels = tuple(
            Origin(born="backward", op=underscored.node_name(node), node=at, module=module, site=site)
            for at, (node, module, site) in enumerate(places)
        )
        return Late(asked, labels, measure.roots)

    def _origins(self, watched: Watched, measure: NodeMeasure) -> tuple[Origin, ...]:
        if watched.forward is not None:
            return (watched.forward,)
        if watched.nearby is not None:  # the backward only hands on what the forward made
            return ()
        return tuple(self._settled(measure, origin) for origin in measure.origins)

    def _settled(self, measure: NodeMeasure, origin: Origin) -> Origin:
        """The op, or who gave it NaN: behind a mask the loss does not show what the forward did."""
        if origin.node >= 0 and any(operand.nan for operand in origin.operands):
            forward = self._forward(measure.nodes, origin.node, nan=True)
            if forward is not None and forward.born != "forward":
                return forward
        return self._complete(measure, origin)

    def _complete(self, measure: NodeMeasure, origin: Origin) -> Origin:
        """Add where the op ran, and the mask it lies behind."""
        if origin.node < 0:
            return origin  # told by a backward inside this one
        mask = measure.mask_above(origin.node) if origin.born == "backward" else None
        if mask is not None:
            node = measure.nodes[mask]
            site = self._measuring.ops.sites_of([underscored.node_sequence_number(node)])[0]
            origin = replace(origin, mask_op=underscored.node_name(node), mask_site=site)
        return self._placed(origin, measure.nodes[origin.node])

    def _between(
        self, watched: Watched, bad: Collection[int], healthy: Collection[int]
    ) -> tuple[Origin, ...]:
        """The narrowest that can be said without numbers of the nodes."""
        if watched.forward is not None:
            return (watched.forward,)
        if watched.nearby is not None:
            return (watched.nearby,)
        nodes = self._graphs.described.get(watched.graph or "", ())
        places = frontier(watched.structure, bad, healthy) if bad else ()
        return tuple(
            Origin(born="backward", op=nodes[place][0], node=place, module=nodes[place][1])
            for place in places
            if place < len(nodes)
        )

    # --- numbers of a healthy backward ------------------------------------------------------------------

    def _amplified(self, measure: NodeMeasure) -> list[tuple[Making, dict[str, Any]]]:
        worst = measure.worst
        if worst.origin is None:
            return []
        origin = self._complete(measure, worst.origin)
        fields = {"ratio": worst.ratio, "norm_in": worst.norm_in, "norm_out": worst.norm_out}
        return [(Amplified, {**fields, "origins": (origin,)})]

    def _half(self, measure: NodeMeasure) -> list[tuple[Making, dict[str, Any]]]:
        events: list[tuple[Making, dict[str, Any]]] = []
        for summary in measure.half.summaries():
            node = measure.nodes[summary.largest] if summary.largest >= 0 else None
            place = self._place_of(underscored.node_sequence_number(node)) if node is not None else {}
            fields: dict[str, Any] = {
                "what": "gradients",
                "dtype": summary.dtype,
                "absmax": summary.absmax,
                "op": underscored.node_name(node) if node is not None else "",
                "elements": summary.elements,
                "zero_share": summary.zeros / max(summary.elements, 1),
                "subnormal_share": summary.subnormal / max(summary.elements, 1),
                "flushed_share": summary.flushed / max(summary.nonzero_before, 1),
                "lowest_exponent": summary.lowest_exponent,
                "exponents": summary.histogram,
            }
            events.append((HalfMeasured, fields | place))
        return events + self._half_outputs()

    def _half_outputs(self) -> list[tuple[Making, dict[str, Any]]]:
        events: list[tuple[Making, dict[str, Any]]] = []
        for dtype in HALF:
            largest = self._measuring.outputs.largest(dtype)
            if largest is not None:
                module, absmax, op, number = largest
                name = str(dtype).removeprefix("torch.")
                fields = {"what": "outputs", "dtype": name, "absmax": absmax, "op": op}
                place = {} if number is None else self._place_of(number)
                events.append((HalfMeasured, fields | place | {"module": module}))
        return events

    def _place_of(self, number: int) -> dict[str, Any]:
        return {
            "module": self._modules([number])[0],
            "largest_at": self._measuring.ops.sites_of([number])[0],
        }

    def _table(self, watched: Watched, measure: NodeMeasure) -> NodeTable | None:
        if watched.graph is None:
            return None
        values = measure.table(len(measure.nodes))
        return NodeTable(step=0, backward=0, graph=watched.graph, scale=1.0, values=values)


def _is_mask(origin: Origin) -> bool:
    """Whether it came in with data as -inf: added to scores, it hides them on purpose."""
    return origin.born == "data" and all(one.inf == one.negative_inf for one in origin.operands)


def _numbers_below(nodes: Sequence[Any], place: int) -> dict[int, int]:
    """Sequence numbers of a node and of all that it sends gradients to, with their places in ``nodes``."""
    places = {node: at for at, node in enumerate(nodes)}
    reached, queue = {place}, [place]
    for at in queue:  # grows while we walk
        for child, _ in nodes[at].next_functions:
            if child is not None and (index := places[child]) not in reached:
                reached.add(index)
                queue.append(index)
    return {underscored.node_sequence_number(nodes[at]): at for at in reached}


def _own_backward(node: Any) -> Site | None:
    """Where the backward of the program's own `torch.autograd.Function` is: no mode is told of a call."""
    return of_function(getattr(getattr(type(node), "_forward_cls", None), "backward", None))
