"""Optimizers: whom they own, when they clear, what a step consumed and moved."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from types import FrameType

import numpy as np
import torch

from graddebug.capture import underscored
from graddebug.capture.autocast import autocast_dtype
from graddebug.capture.clock import StepClock
from graddebug.capture.context import Context
from graddebug.capture.frames import CallMark
from graddebug.capture.fused_steps import is_fused
from graddebug.capture.gradients import Measure
from graddebug.capture.optimizer_groups import groups_of, is_stock
from graddebug.capture.optimizer_state import BadState, bad_state, may_overflow
from graddebug.capture.parameters import parameters_of
from graddebug.capture.readback import Numbers, known
from graddebug.capture.sites import (
    free_name,
    name_among_globals,
    name_being_assigned,
    name_of_argument,
    name_of_callee,
)
from graddebug.capture.statistics import StepMeasure
from graddebug.records import (
    GradientsCleared,
    OptimizerInfo,
    OptimizerOwns,
    OptimizerStep,
    OptimizerStepEnd,
    ParameterSet,
    TrainableChanged,
)

#: The index of an optimizer that was made, but not used yet.
_NOT_YET = -1


@dataclass(slots=True)
class Entry:
    """One optimizer of the watch."""

    ref: weakref.ref[torch.optim.Optimizer]
    index: int
    name: str
    ids: list[int]
    shown: str = ""
    params: ParameterSet = ()
    changed: bool = True


@dataclass(slots=True)
class OpenStep:
    """An ``optimizer.step()`` under way; ``call`` tells a nested step from one whose end never came."""

    entry: Entry
    call: CallMark
    order: int
    gradients: Measure
    measure: StepMeasure
    idle: frozenset[int]
    closure: bool
    divides: bool
    repeats: int = 0


class Optimizers:
    """Turns optimizer calls into events, and knows which optimizer owns which parameter."""

    def __init__(
        self,
        context: Context,
        clock: StepClock,
        named: dict[str, torch.optim.Optimizer],
        announce: Callable[[OptimizerInfo], None],
    ) -> None:
        self._context = context
        self._clock = clock
        self._announce = announce
        self._entries: dict[int, Entry] = {}
        self._owners: dict[int, set[int]] = {}
        self._open: list[OpenStep] = []
        #: Set by Backwards: tells what the backward under way has written so far.
        self.report_written: Callable[[list[int] | None], None] = lambda _: None
        context.quiet.owners_of = self.owners_of
        self._next_index = 0
        #: Changes whenever it is learned who owns what.
        self.ownings = 0
        for name, optimizer in named.items():
            self._add(optimizer, name)

    @property
    def any_known(self) -> bool:
        """Whether any optimizer was seen yet."""
        return bool(self._entries)

    # --- who is who -----------------------------------------------------------------------------

    def created(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer got a (first or further) parameter group."""
        entry = self._entries.get(id(optimizer))
        if entry is not None and entry.ref() is optimizer:
            entry.changed = True
        elif self._context.watches_everything:
            self._add(optimizer, name_being_assigned())

    def _entry(self, optimizer: torch.optim.Optimizer) -> Entry | None:
        entry = self._entries.get(id(optimizer))
        if entry is not None and entry.ref() is optimizer:
            return entry
        return self._add(optimizer, "") if self._accepts(optimizer) else None

    def identify(self, optimizer: torch.optim.Optimizer, *, learn: bool = False) -> Entry | None:
        """The entry of an optimizer that a scaler or a scheduler is called for; None if it is not ours.

        ``learn``: read what it owns now, though nothing of it has been seen yet.
        """
        entry = self._entry(optimizer)
        if entry is None:
            return None
        if not entry.name:
            entry.name = name_of_argument(optimizer)
        if learn or self._concerned(optimizer, set()):
            self._learn(entry, optimizer)
        else:
            self._introduce(entry, optimizer)
        return entry

    def _accepts(self, optimizer: torch.optim.Optimizer) -> bool:
        """An optimizer nobody named is ours when everything is watched, or by what it owns."""
        if self._context.watches_everything:
            return True
        index = self._context.table.index
        return not self._context.named_optimizers and any(
            index(parameter) is not None for parameter in _owned(optimizer)
        )

    def _add(self, optimizer: torch.optim.Optimizer, name: str) -> Entry:
        key, forget = id(optimizer), self._entries.pop
        entry = Entry(weakref.ref(optimizer, lambda _: forget(key, None)), _NOT_YET, name, [])
        self._entries[key] = entry
        return entry

    def release(self) -> None:
        """Hold no optimizer, not even weakly."""
        self._entries.clear()

    def learn_ownership(self, reached: Sequence[torch.Tensor]) -> None:
        """Read the groups of new or changed optimizers, before a backward that reaches these leaves.

        An optimizer whose parameters nobody has seen yet waits: its module, which has the better names
        for them, may run later (a generator beside a discriminator that runs first).
        """
        leaves = {id(leaf) for leaf in reached}
        for entry in [one for one in list(self._entries.values()) if one.changed]:
            optimizer = entry.ref()
            if optimizer is not None and self._concerned(optimizer, leaves):
                self._learn(entry, optimizer)

    def _concerned(self, optimizer: torch.optim.Optimizer, leaves: set[int]) -> bool:
        index = self._context.table.index
        return any(id(p) in leaves or index(p) is not None for p in _owned(optimizer))

    def _learn(self, entry: Entry, optimizer: torch.optim.Optimizer) -> None:
        owned = _owned(optimizer)
        ids = [id(parameter) for parameter in owned]
        if ids == entry.ids and not entry.changed:
            return
        self._introduce(entry, optimizer)
        entry.ids, entry.changed = ids, False
        table = self._context.table
        if any(table.index(parameter) is None for parameter in owned):
            table.rescan()
        members = [self._index(entry, place, parameter) for place, parameter in enumerate(owned)]
        entry.params = table.intern(members)
        self._own(entry)
        self._context.report_unregistered()
        groups = groups_of(optimizer, self._context.table.index, entry.params)
        self._context.journal.note(
            OptimizerOwns, None, optimizer=entry.index, params=entry.params, groups=groups
        )

    def _introduce(self, entry: Entry, optimizer: torch.optim.Optimizer) -> None:
        """Give it its index and announce it, once: in the order of first use, not of creation."""
        if entry.index != _NOT_YET:
            return
        entry.name = entry.name or name_among_globals(optimizer)
        entry.index = self._next_index
        self._next_index += 1
        kind = type(optimizer).__name__
        taken = {one.shown for one in self._entries.values()}
        entry.shown = free_name(entry.name or kind, taken)
        fused = bool(getattr(optimizer, "defaults", {}).get("fused", False))
        info = OptimizerInfo(
            index=entry.index, name=entry.shown, type=kind, fused=fused, stock=is_stock(optimizer)
        )
        self._announce(info)

    def _index(self, entry: Entry, place: int, parameter: torch.Tensor) -> int:
        known = self._context.table.index(parameter)
        if known is not None:
            return known
        name = f"{entry.shown}.params[{place}]"
        return self._context.table.add(parameter, name=name, origin="optimizer")

    def _own(self, entry: Entry) -> None:
        self.ownings += 1
        for owners in self._owners.values():
            owners.discard(entry.index)
        for index in entry.params:
            self._owners.setdefault(index, set()).add(entry.index)

    def owners(self, indices: Iterable[int]) -> set[int]:
        """The optimizers that own any of these parameters."""
        found: set[int] = set()
        for index in indices:
            owners = self._owners.get(index)
            if owners and not owners <= found:
                found |= owners
        return found

    def owners_of(self, index: int) -> Collection[int] | None:
        """The optimizers that own a parameter; asked for every gradient that is written."""
        return self._owners.get(index)

    def owns_no_other(self, parameters: Collection[int]) -> bool:
        """Whether every parameter of every known optimizer has its ``id`` among ``parameters``."""
        return all(number in parameters for number in self._owned_ids())

    def owns_any(self, parameters: Collection[int]) -> bool:
        """Whether any known optimizer has a parameter with its ``id`` among ``parameters``."""
        return any(number in parameters for number in self._owned_ids())

    def _owned_ids(self) -> list[int]:
        optimizers = [entry.ref() for entry in list(self._entries.values())]
        return [id(parameter) for one in optimizers if one is not None for parameter in _owned(one)]

    # --- clearing -------------------------------------------------------------------------------

    def before_clear(self, optimizer: torch.optim.Optimizer) -> Entry | None:
        """``optimizer.zero_grad()`` is about to run."""
        entry = self._entry(optimizer)
        if entry is None:
            return None
        if not entry.name:
            entry.name = name_of_callee(optimizer)
        self._before_clear({entry.index})
        return entry

    def _before_clear(self, owners: set[int]) -> None:
        if not self._context.steps:
            self._clock.about_to_use(owners)
        self._context.outside(self._context.sites.here(), doubt=False)

    def after_clear(self, entry: Entry, optimizer: torch.optim.Optimizer) -> None:
        """``optimizer.zero_grad()`` returned."""
        members = self._known(_owned(optimizer))
        if members and entry.index == _NOT_YET:
            self._learn(entry, optimizer)
        self._cleared(members, "optimizer.zero_grad", entry.name, entry.index)

    def before_module_clear(self, module: torch.nn.Module) -> list[int]:
        """``module.zero_grad()`` is about to run: the watched parameters it concerns."""
        members = self._known(parameters_of(module))
        if members:
            self._before_clear(self.owners(members))
        return members

    def after_module_clear(self, module: torch.nn.Module, members: list[int]) -> None:
        """``module.zero_grad()`` returned."""
        self._cleared(members, "module.zero_grad", name_of_callee(module) or type(module).__name__, None)

    def _known(self, parameters: Iterable[torch.Tensor]) -> list[int]:
        index = self._context.table.index
        return [i for parameter in parameters if (i := index(parameter)) is not None]

    def _cleared(self, members: list[int], how: str, owner: str, optimizer: int | None) -> None:
        context = self._context
        changed = context.state.look(members)
        if not changed:
            return
        context.state.cleared(changed)
        context.journal.note(
            GradientsCleared,
            context.sites.here(),
            params=context.table.intern(changed),
            how=how,
            to_none=all(context.state.grad(i) is None for i in changed),
            owner=owner,
            optimizer=optimizer,
        )

    # --- stepping -------------------------------------------------------------------------------

    def before_step(self, optimizer: torch.optim.Optimizer, closure: object, frame: FrameType) -> None:
        """``optimizer.step()`` was entered; ``frame`` is torch's wrapper around it."""
        self._drop_unfinished(frame)
        if self._open and self._same(self._open[-1].entry, optimizer):
            self._open[-1].repeats += 1  # a subclass's step that calls super().step()
            return
        entry = self._entry(optimizer)
        if entry is None:
            return
        if not entry.name:
            entry.name = name_of_callee(optimizer)
        if closure is None or self._concerned(optimizer, set()):
            self._learn(entry, optimizer)
        else:  # its modules run inside the closure, and have the better names: learned at the backward there
            self._introduce(entry, optimizer)
        self._context.drain()
        self._begin(entry, optimizer, closure is not None, frame)

    def _begin(self, entry: Entry, optimizer: torch.optim.Optimizer, closure: bool, frame: FrameType) -> None:
        context, site = self._context, self._context.sites.here()
        inside = context.scaler_step()
        if context.backwards and underscored.inside_backward():
            self.report_written(list(entry.params))
        else:
            if not context.steps:
                self._clock.about_to_use({entry.index})
            if inside is not None:  # what changed since its call is the scaler's own doing
                context.state.look(entry.params)
            context.outside(site)
        self._note_trainable(entry.params)
        state = context.state
        ready = [i for i in entry.params if state.grad(i) is not None]
        stamp = context.journal.stamp(site)
        gradients = state.measure(ready)
        scale = self._kernel_scale(optimizer)
        if inside is not None and inside.optimizer_step is None:
            inside.optimizer_step, inside.gradients = stamp["order"], gradients
        frozen = [i for i in ready if not context.table.trainable[i]]
        idle = frozenset(i for i in ready if not state.is_fresh(i)) | frozenset(frozen)
        measure = StepMeasure(context.statistics, gradients, scale, watch_moves=bool(idle and not closure))
        parent = context.steps[-1] if context.steps else None
        divides = underscored.fused_scaler_state(optimizer)[0] is not None
        self._open.append(
            OpenStep(entry, CallMark(frame), stamp["order"], gradients, measure, idle, closure, divides)
        )
        context.steps.append(stamp["order"])
        context.journal.happened = True
        self._clock.stepped(entry.index)
        intern = context.table.intern
        in_train_mode = self._in_train_mode(ready)
        lr, autocast = learning_rates(optimizer), _autocast(optimizer)

        def make() -> tuple[OptimizerStep]:
            values = gradients.norms.values
            return (
                OptimizerStep(
                    **stamp,
                    optimizer=entry.index,
                    params=entry.params,
                    ready=intern(ready),
                    zero=intern(ready[k] for k in np.flatnonzero(values == 0)),
                    nonfinite=intern(ready[k] for k in np.flatnonzero(~np.isfinite(values))),
                    frozen=intern(frozen),
                    lr=lr,
                    closure=closure,
                    parent=parent,
                    in_train_mode=in_train_mode,
                    scaler=inside.scaler if inside is not None else None,
                    grad_scale=float(scale.values[0]),
                    autocast=autocast,
                ),
            )

        try:
            context.journal.add(make)
        except BaseException:
            self._close()  # the program is stopped before the step
            raise

    def _kernel_scale(self, optimizer: torch.optim.Optimizer) -> Numbers:
        """The loss scale that a fused optimizer will divide the gradients by itself; 1 without one."""
        scale = underscored.fused_scaler_state(optimizer)[0]
        if isinstance(scale, torch.Tensor) and scale.numel() == 1:
            return self._context.readback.scalar(scale)
        return known(_host_number(scale) or 1.0)

    def _close(self) -> OpenStep:
        opened = self._open.pop()
        if opened.order in self._context.steps:
            self._context.steps.remove(opened.order)
        return opened

    def _drop_unfinished(self, frame: FrameType) -> None:
        """Forget steps that raised: their wrapper is no longer among our callers."""
        while self._open and not self._open[-1].call.is_around(frame.f_back):
            self._close()

    def _same(self, entry: Entry, optimizer: torch.optim.Optimizer) -> bool:
        return entry.ref() is optimizer

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """``optimizer.step()`` returned."""
        if not self._open or not self._same(self._open[-1].entry, optimizer):
            return
        if self._open[-1].repeats:
            self._open[-1].repeats -= 1
            return
        opened = self._close()
        context, state = self._context, self._context.state
        site = context.sites.here()
        if opened.closure:
            self._learn(opened.entry, optimizer)  # where no backward inside has done so
            context.outside(site)
        else:
            state.look(opened.entry.params)
        ready = [i for i in opened.entry.params if state.grad(i) is not None]
        if opened.order in context.differentiating:
            context.differentiating.discard(opened.order)
            context.inside_step |= not ready
        context.weights.stepped(opened.entry.params)
        if is_fused(optimizer):
            context.fused.stepped(ready)
        context.casts.stepped(ready, context.table.refs[ready[0]]() if ready else None)
        outcome = opened.measure.after()
        found = underscored.fused_scaler_state(optimizer)[1]
        skipped = context.readback.scalar(found) if isinstance(found, torch.Tensor) else None
        self._consume(opened, ready)
        holding = [i for i in ready if (grad := state.grad(i)) is not None and grad.requires_grad]
        stamp = context.journal.stamp(site)
        intern = context.table.intern

        def make() -> tuple[OptimizerStepEnd]:
            moved = outcome.moved() if opened.idle and not opened.closure else ()
            spoiled = outcome.spoiled()
            state = self._bad_state(opened, spoiled)
            return (
                OptimizerStepEnd(
                    **stamp,
                    nonfinite_weights=intern(spoiled),
                    nonfinite_state=intern(opened.gradients.members[place] for place in state.places),
                    state_entries=state.entries,
                    eps=state.eps,
                    optimizer=opened.entry.index,
                    begin=opened.order,
                    skipped=skipped is not None and bool(skipped.values[0] > 0),
                    moved_idle=intern(i for i in moved if i in opened.idle),
                    holds_graph=intern(holding),
                    ready=intern(ready),
                ),
            )

        context.journal.add(make)
        if not context.steps:
            context.windows += 1
            context.quiet.optimizer_stepped()
            context.journal.mark()

    def _bad_state(self, opened: OpenStep, spoiled: list[int]) -> BadState:
        """What it remembers of weights that it spoiled, and of gradients too large to be squared."""
        members, optimizer = opened.gradients.members, opened.entry.ref()
        parameters = [self._context.table.refs[i]() for i in members]
        doubtful = may_overflow(parameters, opened.gradients.norms.values)
        places = sorted({*doubtful, *(place for place, i in enumerate(members) if i in spoiled)})
        return bad_state(optimizer, parameters, places) if optimizer is not None and places else BadState()

    def _consume(self, opened: OpenStep, ready: list[int]) -> None:
        state = self._context.state
        if opened.divides:  # a fused kernel leaves the gradients that it divided by the scale behind
            state.unscaled(ready)
        same = not opened.closure and not opened.divides and ready == opened.gradients.members
        state.consumed(opened.gradients if same else state.measure(ready))

    def _note_trainable(self, params: ParameterSet) -> None:
        table, journal = self._context.table, self._context.journal
        changed: dict[bool, list[int]] = {}
        for i in params:
            parameter = table.refs[i]()
            if parameter is not None and parameter.requires_grad is not table.trainable[i]:
                table.trainable[i] = parameter.requires_grad
                changed.setdefault(parameter.requires_grad, []).append(i)
        for value, members in changed.items():
            journal.note(TrainableChanged, None, params=table.intern(members), requires_grad=value)

    # --- modes ----------------------------------------------------------------------------------

    def _in_train_mode(self, ready: list[int]) -> ParameterSet:
        table = self._context.table
        training = {
            number
            for number, root in enumerate(table.roots)
            if (module := root.ref()) is not None and module.training
        }
        return table.intern(i for i in ready if table.root_of[i] in training)


def _owned(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Its parameters; none for one whose ``__init__`` failed or is not done."""
    return [parameter for group in getattr(optimizer, "param_groups", ()) for parameter in group["params"]]


def learning_rates(optimizer: torch.optim.Optimizer) -> tuple[float, ...]:
    """One learning rate a group; NaN for one that lies on a device."""
    return tuple(_learning_rate(group.get("lr")) for group in optimizer.param_groups)


def _autocast(optimizer: torch.optim.Optimizer) -> str | None:
    first = next(iter(_owned(optimizer)), None)
    return autocast_dtype(first.device.type) if first is not None else None


def _host_number(value: object) -> float | None:
    """A number that lies on the host; None for one on a device, which we would have to wait for."""
    if isinstance(value, torch.Tensor):
        return float(value.item()) if value.is_cpu else None
    return float(value) if isinstance(value, int | float) else None


def _learning_rate(value: object) -> float:
    number = _host_number(value)
    return float("nan") if number is None else number
