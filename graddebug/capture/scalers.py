"""Loss scalers: what they scale, unscale and skip, and how their scale moves."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from graddebug.capture import underscored
from graddebug.capture.clock import StepClock
from graddebug.capture.context import Context, OpenScalerStep
from graddebug.capture.optimizers import Entry, Optimizers
from graddebug.capture.readback import Numbers, known
from graddebug.capture.scaled_roots import ScaleSentinel, factors, is_multiplied, is_scale, may_hold_scale
from graddebug.capture.sites import free_name, name_of_callee
from graddebug.records import ScalerSeen, ScalerStep, ScalerUpdate, Unscaled

GradScaler = torch.amp.GradScaler

#: Characters of an exception's text that are kept.
TEXT = 500


@dataclass(slots=True)
class ScalerEntry:
    """One scaler of the watch; ``scale`` is its scale when last asked, ``asked`` the tensor's state then."""

    ref: weakref.ref[GradScaler]
    index: int
    name: str
    enabled: bool
    used: bool = False
    scale: Numbers = field(default_factory=lambda: known(1.0))
    asked: tuple[int, int] | None = None


@dataclass(slots=True)
class UnscaleCall:
    """An ``unscale_`` under way."""

    scaler: ScalerEntry
    optimizer: Entry
    scale: Numbers
    implicit: bool


@dataclass(slots=True)
class StepCall:
    """A ``scaler.step`` under way."""

    scaler: ScalerEntry
    optimizer: Entry
    open: OpenScalerStep


class Scalers:
    """Turns calls of scalers into events, and knows which backwards are scaled."""

    def __init__(
        self, context: Context, clock: StepClock, optimizers: Optimizers, named: dict[str, GradScaler]
    ) -> None:
        self._context = context
        self._clock = clock
        self._optimizers = optimizers
        self._entries: dict[int, ScalerEntry] = {}
        self._given = [(weakref.ref(scaler), name) for name, scaler in named.items()]
        self._names: set[str] = set()
        self._count = 0
        self._sentinels: weakref.WeakSet[ScaleSentinel] = weakref.WeakSet()

    # --- who is who -----------------------------------------------------------------------------

    def _entry(self, scaler: GradScaler) -> ScalerEntry:
        entry = self._entries.get(id(scaler))
        if entry is not None and entry.ref() is scaler:
            return entry
        return self._add(scaler)

    def _add(self, scaler: GradScaler) -> ScalerEntry:
        key, forget = id(scaler), self._entries.pop
        ref = weakref.ref(scaler, lambda _: forget(key, None))
        entry = ScalerEntry(ref, self._count, self._name(scaler), bool(scaler.is_enabled()))
        self._entries[key] = entry
        self._count += 1
        self._introduce(entry, scaler)
        return entry

    def _name(self, scaler: GradScaler) -> str:
        given = next((name for ref, name in self._given if ref() is scaler), "")
        name = free_name(given or name_of_callee(scaler) or type(scaler).__name__, self._names)
        self._names.add(name)
        return name

    def _introduce(self, entry: ScalerEntry, scaler: GradScaler) -> None:
        scale, journal = self._scale(entry, scaler), self._context.journal
        stamp = journal.stamp(self._context.sites.here())
        fields: dict[str, Any] = {"name": entry.name, "enabled": entry.enabled}
        if entry.enabled:
            fields |= {
                "growth_factor": float(scaler.get_growth_factor()),
                "backoff_factor": float(scaler.get_backoff_factor()),
                "growth_interval": int(scaler.get_growth_interval()),
            }
        journal.add(
            lambda: (ScalerSeen(**stamp, **fields, scaler=entry.index, scale=float(scale.values[0])),)
        )

    def _scale(self, entry: ScalerEntry, scaler: GradScaler) -> Numbers:
        """Its scale now; asked of a device only where it may have changed since the last time."""
        tensor = underscored.scale_of(scaler)
        if tensor is None:
            return known(float(scaler.get_scale()))  # its first scale, which is a plain number
        state = (id(tensor), -1 if tensor.is_inference() else tensor._version)
        if tensor.is_cpu or entry.asked != state:
            entry.scale, entry.asked = self._context.readback.scalar(tensor), state
        return entry.scale

    # --- scaling --------------------------------------------------------------------------------

    def scaled(self, scaler: GradScaler, outputs: object) -> None:
        """``scaler.scale()`` returned ``outputs``: who runs a backward through them shall know."""
        entry = self._entry(scaler)
        if not entry.enabled or underscored.inside_functorch():
            return
        scale, context = self._scale(entry, scaler), self._context
        for tensor in _tensors(outputs):
            if tensor.grad_fn is not None:
                sentinel = ScaleSentinel(entry.index, scale, context.differentiations, context.backwards)
                sentinel.handle = tensor.grad_fn.register_prehook(sentinel)
                self._sentinels.add(sentinel)

    def by_hand(self, nodes: Iterable[Any], gradients: Iterable[Any]) -> dict[int, Numbers]:
        """The scalers whose scale a backward's roots were multiplied by, or begin with, as far as is seen."""
        found: dict[int, Numbers] = {}
        scales = list(self._scales())
        if scales:
            numbers = [g for g in gradients if isinstance(g, torch.Tensor) and g.numel() == 1]
            for factor in (*numbers, *factors(nodes)):
                found |= {
                    entry.index: entry.scale
                    for entry, scale in scales
                    if is_scale(factor, scale, float(entry.scale.values[0]))
                }
        return found

    def may_be_by_hand(self, nodes: Iterable[Any]) -> bool:
        """Whether the program multiplied a backward's roots by what may be a scale and more in one."""
        scales = [float(entry.scale.values[0]) for entry, _ in self._scales()]
        if not underscored.SAVED_READABLE:
            return bool(scales) and is_multiplied(nodes)
        return bool(scales) and any(may_hold_scale(one, min(scales)) for one in factors(nodes, of_all=True))

    def _scales(self) -> Iterator[tuple[ScalerEntry, torch.Tensor]]:
        for entry in list(self._entries.values()):
            scaler = entry.ref()
            scale = underscored.scale_of(scaler) if scaler is not None else None
            if scale is not None:
                yield entry, scale

    def dismiss(self) -> None:
        """Leave no hook on graphs that are still alive."""
        for sentinel in list(self._sentinels):
            sentinel.handle.remove()

    def release(self) -> None:
        """Hold no scaler, not even weakly."""
        self._entries.clear()
        self._given.clear()

    # --- unscaling ------------------------------------------------------------------------------

    def before_unscale(self, scaler: GradScaler, optimizer: torch.optim.Optimizer) -> UnscaleCall | None:
        """``scaler.unscale_(optimizer)`` is about to run."""
        entry, owner = self._entry(scaler), self._optimizers.identify(optimizer)
        if owner is None or not entry.enabled:
            return None
        entry.used = True
        opened = self._context.scaler_step()
        implicit = opened is not None and (opened.scaler, opened.optimizer) == (entry.index, owner.index)
        if not implicit:
            self._context.outside(self._context.sites.here(), doubt=bool(self._context.state.scaled))
        return UnscaleCall(entry, owner, self._scale(entry, scaler), implicit)

    def after_unscale(self, call: UnscaleCall, scaler: GradScaler, optimizer: torch.optim.Optimizer) -> None:
        """It returned: what changed is its doing, though it moves no version counter (2.13)."""
        context = self._context
        ready = self._with_gradient(call.optimizer)
        context.state.unscaled(ready)
        found = self._found_inf(scaler, optimizer)
        stamp, params = context.journal.stamp(context.sites.here()), context.table.intern(ready)

        def make() -> tuple[Unscaled]:
            event = Unscaled(
                **stamp,
                scaler=call.scaler.index,
                optimizer=call.optimizer.index,
                params=params,
                scale=float(call.scale.values[0]),
                found_inf=_any(found),
                implicit=call.implicit,
            )
            return (event,)

        context.journal.add(make)

    def _with_gradient(self, owner: Entry) -> list[int]:
        state = self._context.state
        state.look(owner.params)
        return [i for i in owner.params if state.grad(i) is not None]

    def _found_inf(self, scaler: GradScaler, optimizer: torch.optim.Optimizer) -> list[Numbers]:
        return [self._context.readback.scalar(found) for found in underscored.found_inf_of(scaler, optimizer)]

    # --- stepping -------------------------------------------------------------------------------

    def before_step(self, scaler: GradScaler, optimizer: torch.optim.Optimizer) -> StepCall | None:
        """``scaler.step(optimizer)`` is about to run."""
        context, entry = self._context, self._entry(scaler)
        owner = self._optimizers.identify(optimizer)
        if owner is None or not entry.enabled:
            return None
        entry.used = True
        if not context.steps:
            self._clock.about_to_use({owner.index})
        context.outside(context.sites.here())
        scale = self._scale(entry, scaler)
        opened = OpenScalerStep(entry.index, owner.index, threading.get_ident(), scale)
        context.scaler_steps.append(opened)
        return StepCall(entry, owner, opened)

    def step_failed(self, call: StepCall) -> None:
        """It raised."""
        self._context.scaler_steps.remove(call.open)

    def after_step(self, call: StepCall, scaler: GradScaler, optimizer: torch.optim.Optimizer) -> None:
        """It returned."""
        context, opened = self._context, call.open
        context.scaler_steps.remove(opened)
        ready = self._with_gradient(call.optimizer)
        found, not_entered = self._found_inf(scaler, optimizer), opened.optimizer_step is None
        gradients = opened.gradients or context.state.measure(ready)
        stamp, intern = context.journal.stamp(context.sites.here()), context.table.intern

        def make() -> tuple[ScalerStep]:
            skipped = _any(found) if found else not_entered
            bad = np.flatnonzero(~np.isfinite(gradients.norms.values)) if skipped else ()
            event = ScalerStep(
                **stamp,
                scaler=call.scaler.index,
                optimizer=call.optimizer.index,
                params=intern(ready),
                nonfinite=intern(gradients.members[place] for place in bad),
                scale=float(opened.scale.values[0]),
                skipped=skipped,
                optimizer_step=opened.optimizer_step,
            )
            return (event,)

        context.journal.add(make)
        context.journal.happened = True
        if not context.steps:
            if not_entered:
                self._clock.stepped(call.optimizer.index)
                context.windows += 1
            self._clock.belongs_to_last()

    # --- updating -------------------------------------------------------------------------------

    def before_update(self, scaler: GradScaler) -> tuple[ScalerEntry, Numbers] | None:
        """``scaler.update()`` is about to run."""
        entry = self._entry(scaler)
        concerned = entry.used or self._context.watches_everything
        return (entry, self._scale(entry, scaler)) if entry.enabled and concerned else None

    def after_update(self, entry: ScalerEntry, before: Numbers, scaler: GradScaler, *, given: bool) -> None:
        """It returned; it moves no version counter (2.13)."""
        context = self._context
        entry.asked = None
        after = self._scale(entry, scaler)
        tracker = underscored.growth_tracker_of(scaler)
        count = context.readback.scalar(tracker) if tracker is not None else known(0)
        stamp = context.journal.stamp(context.sites.here())

        def make() -> tuple[ScalerUpdate]:
            event = ScalerUpdate(
                **stamp,
                scaler=entry.index,
                before=float(before.values[0]),
                after=float(after.values[0]),
                growth_tracker=int(count.values[0]),
                given=given,
            )
            return (event,)

        context.journal.add(make)
        if not context.steps:
            self._clock.belongs_to_last()

    # --- torch's own errors -------------------------------------------------------------------

    def raised(
        self, call: str, scaler: GradScaler, optimizer: torch.optim.Optimizer | None, error: Exception
    ) -> None:
        """A call is about to end with an error of the scaler's: say which, and of what parameters."""
        context, entry = self._context, self._entry(scaler)
        owner = self._optimizers.identify(optimizer, learn=True) if optimizer is not None else None
        concerned = owner is not None if optimizer is not None else entry.used
        if not entry.enabled or not (concerned or context.watches_everything):
            return
        params = owner.params if owner is not None else ()
        half = [i for i in params if _is_half(context.state.grad(i))]
        about_half = "FP16" in str(error)
        context.journal.explain(
            error,
            context.sites.here(),
            call=call,
            error=type(error).__name__,
            text=str(error)[:TEXT],
            scaler=entry.index,
            optimizer=owner.index if owner is not None else None,
            params=context.table.intern(half if about_half else params),
        )


def _is_half(grad: torch.Tensor | None) -> bool:
    return grad is not None and grad.dtype == torch.float16


def _any(found: Iterable[Numbers]) -> bool:
    return any(bool(numbers.values[0] != 0) for numbers in found)


def _tensors(outputs: object) -> Iterator[torch.Tensor]:
    if isinstance(outputs, torch.Tensor):
        yield outputs
    elif isinstance(outputs, list | tuple):
        for output in outputs:
            yield from _tensors(output)
