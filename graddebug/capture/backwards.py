"""Every ``backward()``: its graph before it runs, what it wrote after it ran."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from graddebug.capture import underscored
from graddebug.capture.autocast import autocast_dtype
from graddebug.capture.clock import StepClock
from graddebug.capture.context import Context, OpenBackward
from graddebug.capture.graph import Walk, root_nodes, structure_key, walk
from graddebug.capture.nonfinite import Found, Nonfinites, Watched
from graddebug.capture.optimizers import Optimizers
from graddebug.capture.outdated import changed_in_place, places_of
from graddebug.capture.readback import Numbers
from graddebug.capture.samples import is_plain
from graddebug.capture.scalers import TEXT, Scalers
from graddebug.records import (
    Amplified,
    Backward,
    Event,
    GradientsCleared,
    GraphGrew,
    ModuleTable,
    NodeTable,
    Nonfinite,
    ParameterSet,
    Site,
)


@dataclass(slots=True)
class BackwardCall:
    """What the program asked of autograd's engine."""

    roots: tuple[Any, ...]
    retain_graph: bool
    create_graph: bool
    accumulates: bool
    gradients: tuple[Any, ...] = ()
    partial: bool = False


class Ticket:
    """One backward of one watch, from its begin to its end."""

    __slots__ = ("fields", "loss", "open", "watched")

    def __init__(
        self,
        open_backward: OpenBackward,
        fields: dict[str, Any],
        loss: Numbers | None,
        watched: Watched | None = None,
    ) -> None:
        self.open = open_backward
        self.fields = fields
        self.loss = loss
        self.watched = watched


class Backwards:
    """Turns runs of autograd's engine into Backward events."""

    def __init__(self, context: Context, clock: StepClock, optimizers: Optimizers, scalers: Scalers) -> None:
        self._context = context
        self._scalers = scalers
        self._clock = clock
        self._optimizers = optimizers
        optimizers.report_written = self.report_written
        self._tickets: list[Ticket] = []
        self._nonfinites = Nonfinites(
            context.measuring, context.graphs, context.intervals, context.readback, context.table.index
        )

    def begin(self, call: BackwardCall) -> Ticket | None:
        """A backward is about to run; None if it does not concern this watch."""
        if underscored.inside_functorch():
            self._context.inside_func = True
            return None
        self._context.drain()
        if call.accumulates:
            return self._begin_accumulating(call)
        return self._begin_grad(call)

    def _begin_grad(self, call: BackwardCall) -> Ticket:
        """``torch.autograd.grad`` writes no ``.grad``: only the forwards it runs through are noted."""
        context = self._context
        stamp = context.journal.stamp(context.sites.here())
        fields = stamp | {
            "root_op": _op_of(call.roots),
            "accumulates": False,
            "retain_graph": call.retain_graph,
            "create_graph": call.create_graph,
            "autocast": _autocast(call.roots),
        }
        scales = self._scalers.by_hand(root_nodes(call.roots), call.gradients)
        watched = self._watch_grad(call)
        opened = OpenBackward(stamp["order"], threading.get_ident(), scales=scales, step=stamp["step"])
        ticket = Ticket(opened, fields, None, watched)
        context.differentiations.append(ticket.open)
        context.differentiating.update(context.steps)
        return ticket

    def _watch_grad(self, call: BackwardCall) -> Watched | None:
        measuring = self._context.measuring
        if not measuring.on:
            measuring.graph_runs((), 0, None)
            return None
        seen = walk(root_nodes(call.roots), self._context.table.index)
        measuring.graph_runs(seen.nodes, 0, None)
        return self._nonfinites.begin(seen, structure_key(seen), None, None)

    def _end_grad(self, ticket: Ticket, *, failed: bool) -> None:
        self._context.differentiations.remove(ticket.open)
        forwards = tuple(dict.fromkeys(ticket.open.forwards))
        fields, scales = ticket.fields, dict(ticket.open.scales)
        found = self._nonfinites.end(ticket.watched, (), ()) if ticket.watched else Found()
        self._let_go(ticket)
        stamp = self._context.journal.stamp(fields["site"])

        def make() -> Iterator[Event]:
            yield Backward(**fields, **_scaled(scales), forwards=forwards, failed=failed)
            words = found.settled((), (), lost=False)
            if words["origins"]:
                yield Nonfinite(**stamp, backward=fields["order"], torch=torch.__version__, **words)

        self._context.journal.add(make)

    def _let_go(self, ticket: Ticket) -> None:
        watched, ticket.watched = ticket.watched, None
        if watched is not None and watched.measure is not None:
            self._context.measuring.backward_over(watched.measure)

    def _begin_accumulating(self, call: BackwardCall) -> Ticket | None:
        context, site = self._context, self._context.sites.here()
        nodes = root_nodes(call.roots)
        seen = walk(nodes, context.table.index)
        leaves = seen.leaves + [
            root for root in call.roots if isinstance(root, torch.Tensor) and root.is_leaf
        ]
        self._optimizers.learn_ownership(leaves)
        reached = [index for leaf in leaves if (index := context.table.resolve_leaf(leaf)) is not None]
        context.report_unregistered()
        strangers = len(leaves) - len(reached)
        if (
            not reached
            and not context.watches_everything
            and any(isinstance(x, nn.Parameter) for x in leaves)
        ):
            return None  # somebody else's training
        parent = self._enclosing()
        if parent is None:
            context.uses(context.table.intern(reached))
        self._mark_time(reached, site, nested=parent is not None or bool(context.steps))
        self._look_before(site, parent)
        if parent is None:
            self._tell_growth(site, seen)
            context.measuring.graph_runs(seen.nodes, seen.roots, site)
        stamp = context.journal.stamp(site)
        key = structure_key(seen)
        graph = self._graph(seen, key) if nodes else None
        fields = stamp | {
            "reached": context.table.intern(reached),
            "other_leaves": strangers if nodes else 0,
            "root_op": _op_of(call.roots),
            "leaf_root": not nodes,
            "graph": graph,
            "nodes": len(seen.nodes),
            "retain_graph": call.retain_graph,
            "create_graph": call.create_graph,
            "parent": parent.order if parent else None,
            "inside_step": context.steps[-1] if context.steps else None,
            "autocast": _autocast(call.roots),
            "seeded": _is_seeded(call) or self._scalers.may_be_by_hand(nodes),
            "outdated": self._outdated(seen, call, parent),
            "stale_casts": context.table.intern(context.casts.used(seen.nodes, context.table.index)),
        }
        scales = self._scalers.by_hand(nodes, call.gradients) | (parent.scales if parent else {})
        open_backward = OpenBackward(stamp["order"], threading.get_ident(), scales=scales, step=stamp["step"])
        loss = self._loss(call, parent)
        ticket = Ticket(open_backward, fields, loss)
        if nodes:
            ticket.watched = self._nonfinites.begin(
                seen, key, graph, _known(loss, call, wait=context.measuring.waits)
            )
        context.backwards.append(ticket.open)
        context.journal.happened = True
        self._tickets.append(ticket)
        if parent is None:
            context.journal.graph = graph
        return ticket

    def _tell_growth(self, site: Site | None, seen: Walk) -> None:
        context = self._context
        grown = context.growth.look(site, context.journal.step, seen.nodes)
        if grown is None:
            return
        fields = _joint_fields(grown.joint, context) if grown.joint is not None else {}
        told = {"grown": grown.steps, "before": grown.before, "reach": grown.reach}
        context.journal.note(GraphGrew, site, nodes=len(seen.nodes), **told, **fields)

    def _outdated(self, seen: Walk, call: BackwardCall, parent: OpenBackward | None) -> ParameterSet:
        fused = self._context.fused
        root = call.roots[0] if call.roots else None
        if call.create_graph and isinstance(root, torch.Tensor) and not root.is_cpu:
            fused.confused = True  # a device's thread makes nodes from now on, and numbers them itself
        if parent is not None or call.partial:
            return ()
        return self._context.table.intern(fused.outdated(seen.nodes, self._context.table.alive()))

    def _graph(self, seen: Walk, key: int) -> str | None:
        context = self._context
        lines = context.measuring.ops.sites_of
        return context.graphs.hash_of(seen, key, context.table.index, context.intervals, lines)

    def _enclosing(self) -> OpenBackward | None:
        """The backward this one runs inside of: a checkpoint that recomputes, a hook."""
        if self._context.backwards and underscored.inside_backward():
            here = threading.get_ident()
            mine = [one for one in self._context.backwards if one.thread == here]
            return (mine or self._context.backwards)[-1]  # a device's engine thread called none itself
        return None

    def _mark_time(self, reached: list[int], site: Any, *, nested: bool) -> None:
        if nested:
            return
        owners = self._optimizers.owners(reached)
        self._clock.about_to_use(owners)
        if not owners and not self._optimizers.any_known:
            self._clock.backward_without_optimizer(site)

    def _look_before(self, site: Any, parent: OpenBackward | None) -> None:
        if parent is None:
            self._context.weights_outside()
            self._context.outside(site)
        else:
            parent.written += self._wrote(self._context.state.look())

    def _loss(self, call: BackwardCall, parent: OpenBackward | None) -> Numbers | None:
        root = call.roots[0] if call.roots else None
        if parent is not None or not isinstance(root, torch.Tensor) or root.numel() != 1 or root.is_complex():
            return None
        loss = self._context.readback.scalar(root)
        self._context.journal.loss = lambda: _number(loss)
        return loss

    def end(self, ticket: Ticket, *, failed: bool) -> None:
        """The backward returned, or raised."""
        context = self._context
        if not ticket.fields.get("accumulates", True):
            self._end_grad(ticket, failed=failed)
            return
        context.backwards.remove(ticket.open)
        self._tickets.remove(ticket)
        try:
            self._end(ticket, failed=failed)
        finally:
            self._let_go(ticket)

    def _end(self, ticket: Ticket, *, failed: bool) -> None:
        context = self._context
        changed = context.state.look()
        written = ticket.open.written + self._wrote(changed)
        if written or not ticket.open.reported:
            self._report(ticket, written, failed=failed)
        gone = [i for i in changed if context.state.grad(i) is None]
        if gone:
            context.state.cleared(gone)
            members = context.table.intern(gone)
            context.journal.note(GradientsCleared, ticket.fields["site"], params=members, how="set to None")

    def raised(self, ticket: Ticket, roots: tuple[Any, ...], error: Exception) -> None:
        """It raised because a tensor that its graph keeps was changed in place: find which, and its op."""
        context = self._context
        changed = list(changed_in_place(walk(root_nodes(roots), context.table.index).nodes))
        if not changed:
            return
        places = places_of(context.table.alive())
        own = {places.get(tensor.data_ptr()) for _, tensor in changed if is_plain(tensor)} - {None}
        first = underscored.node_sequence_number(changed[0][0])
        context.journal.explain(
            error,
            ticket.fields["site"],
            call="backward",
            error=type(error).__name__,
            text=str(error)[:TEXT],
            params=context.table.intern(i for i in own if i is not None),
            op=underscored.node_name(changed[0][0]),
            module=context.intervals.place(threading.get_ident(), [first])[0],
            op_site=context.measuring.ops.sites_of([first])[0],
        )

    def _wrote(self, changed: list[int]) -> list[int]:
        return [i for i in changed if self._context.state.grad(i) is not None]

    def report_written(self, indices: list[int] | None) -> None:
        """An optimizer steps inside a backward: report first what that backward has written so far."""
        ticket = self._tickets[-1]
        changed = self._wrote(self._context.state.look(indices))
        written = ticket.open.written + changed
        ticket.open.written = []
        if written:
            self._report(ticket, written, failed=False)

    def _report(self, ticket: Ticket, written: list[int], *, failed: bool) -> None:
        context = self._context
        measure = context.state.wrote(written, scaled=bool(ticket.open.scales))
        context.weights.written(measure, self._optimizers.owners_of)
        norms = measure.norms  # not its samples: many backwards may be held back
        members = context.table.intern(written)
        context.quiet.written(members, ticket.fields["graph"])
        forwards, ticket.open.forwards = tuple(dict.fromkeys(ticket.open.forwards)), []
        in_eval = self._through_eval(forwards, members)
        fields, loss, scales = ticket.fields, ticket.loss, dict(ticket.open.scales)
        context.statistics.written(written, norms, scale=lambda: _scaled(scales)["scale"] or 1.0)
        found = self._found(ticket, written, norms)
        if scales:
            context.state.carry(written, next(reversed(scales.values())))
            context.journal.scale = lambda: _scaled(scales)["scale"]
            if loss is not None:
                context.journal.loss = lambda: _unscaled(loss, scales)
        if ticket.open.reported:  # a later part of the same backward is an event of its own
            stamp = context.journal.stamp(fields["site"])
            fields = fields | stamp
        ticket.open.reported = True
        stamps = [context.journal.stamp(fields["site"]) for _ in range(1 + len(found.events))]
        outputs = context.measuring.outputs.take(0) if fields["parent"] is None else None

        def make() -> Iterator[Event]:
            bad = [written[place] for place in np.flatnonzero(~np.isfinite(norms.values))]
            value, scale = _unscaled(loss, scales) if loss is not None else None, _scaled(scales)
            yield Backward(
                **fields,
                written=members,
                nonfinite=context.table.intern(bad),
                written_in_eval=in_eval,
                loss=value,
                forwards=forwards,
                failed=failed,
                captured=found.measured,
                **scale,
            )
            yield from self._nonfinite(stamps[0], fields, found, members, bad, value, scale["scale"])
            largest = float(norms.values.max()) if written else None
            yield from _measured(stamps[1:], fields, found, scale["scale"], largest)
            self._pass_tables(found.finished_table(), outputs, fields, scale["scale"])

        context.journal.add(make)

    def _nonfinite(
        self,
        stamp: dict[str, Any],
        fields: dict[str, Any],
        found: Found,
        members: ParameterSet,
        bad: list[int],
        loss: float | None,
        scale: float | None,
    ) -> Iterator[Nonfinite]:
        """What is told where the loss, or a gradient that was written, is not finite."""
        intern, lost = self._context.table.intern, not _is_finite(loss)
        healthy = set(members).difference(bad)
        words = found.settled(bad, healthy, lost=lost)
        if not bad and (fields["parent"] is not None or not (lost or (words["origins"] and not members))):
            return
        if not found.alarmed:
            self._nonfinites.alarm()
        yield Nonfinite(
            **stamp,
            backward=fields["order"],
            graph=fields["graph"],
            params=intern(bad),
            healthy=intern(healthy),
            loss=loss,
            scale=scale,
            torch=torch.__version__,
            **words,
        )

    def _found(self, ticket: Ticket, written: list[int], norms: Numbers) -> Found:
        """What measuring has shown, asked while the graph is there."""
        watched = ticket.watched
        if watched is None:
            return Found()
        bad: list[int] = []
        if not self._context.readback.waiting:
            bad = [written[place] for place in np.flatnonzero(~np.isfinite(norms.values))]
        found = self._nonfinites.end(watched, bad, set(written).difference(bad))
        if self._tickets and ticket.fields["parent"] is not None and found.origins:
            above = self._tickets[-1].watched
            if above is not None and above.measure is not None:
                above.measure.told_inside(found.origins)
        return found

    def _pass_tables(
        self,
        nodes: NodeTable | None,
        outputs: ModuleTable | None,
        fields: dict[str, Any],
        scale: float | None,
    ) -> None:
        journal, step = self._context.journal, fields["step"]
        if nodes is not None:
            journal.nodes(replace(nodes, step=step, backward=fields["order"], scale=scale or 1.0))
        if outputs is not None:
            journal.modules(replace(outputs, step=step))

    def _through_eval(self, forwards: tuple[int, ...], members: ParameterSet) -> ParameterSet:
        """Those of ``members`` that belong to a module whose forward ran in eval mode."""
        eval_forwards = self._context.eval_forwards
        in_eval = {i for order in forwards for i in eval_forwards.get(order, ())}
        return self._context.table.intern(in_eval.intersection(members)) if in_eval else ()


def _joint_fields(joint: Any, context: Context) -> dict[str, Any]:
    """Where the op ran that continues an earlier step's graph."""
    number = underscored.node_sequence_number(joint)
    shapes = [shape for shape, _ in underscored.gradient_metadata(joint)]
    return {
        "op": underscored.node_name(joint),
        "module": context.intervals.place(threading.get_ident(), [number])[0],
        "op_site": context.measuring.ops.sites_of([number])[0],
        "scalar": shapes == [()],
    }


def _measured(
    stamps: list[dict[str, Any]],
    fields: dict[str, Any],
    found: Found,
    scale: float | None,
    largest: float | None,
) -> Iterator[Event]:
    """What measuring has to tell of an ordinary backward; ``largest`` is the largest norm it wrote."""
    for stamp, (kind, numbers) in zip(stamps, found.events, strict=True):
        more: dict[str, Any] = {}
        if scale is not None and numbers.get("what") == "gradients":
            more["scale"] = scale
        if kind is Amplified and largest is not None:
            more["written"] = largest
        yield kind(**stamp, backward=fields["order"], **numbers, **more)


def _scaled(scales: dict[int, Numbers]) -> dict[str, Any]:
    """The scalers that a backward was scaled by, and the scale of the last of them."""
    return {
        "scalers": tuple(sorted(scales)),
        "scale": _number(next(reversed(scales.values()))) if scales else None,
    }


def _is_seeded(call: BackwardCall) -> bool:
    """Whether it begins with another gradient than the 1 that torch itself begins with.

    A number on a device may be the program's, too: it is taken for torch's, as reading it would wait.
    """
    return any(
        isinstance(seed, torch.Tensor) and (seed.numel() != 1 or (seed.is_cpu and seed.item() != 1))
        for seed in call.gradients
    )


def _unscaled(loss: Numbers, scales: dict[int, Numbers]) -> float:
    """A backward's root as the program computed it, without the scale that its scaler put on."""
    value, scale = _number(loss), _scaled(scales)["scale"]
    return value / scale if scale else value


def _autocast(roots: tuple[Any, ...]) -> str | None:
    root = next((root for root in roots if isinstance(root, torch.Tensor)), None)
    return autocast_dtype(root.device.type) if root is not None else None


def _known(loss: Numbers | None, call: BackwardCall, *, wait: bool) -> float | None:
    """The loss, where it lies on the host or is worth waiting for."""
    if loss is None or call.roots[0].is_cpu:
        return None if loss is None else _number(loss)
    return float(call.roots[0].detach().item()) if wait else None


def _is_finite(value: float | None) -> bool:
    return value is None or math.isfinite(value)


def _number(numbers: Numbers) -> float:
    return float(numbers.values[0])


def _op_of(roots: tuple[Any, ...]) -> str:
    nodes = root_nodes(roots)
    return underscored.node_name(nodes[0]) if nodes else ""
