"""What became of gradients that hold NaN or inf: a step applied them, or they went before one could."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from graddebug.ledger.facts import Fate, NonfiniteSettled
from graddebug.ledger.life import Line, line_of
from graddebug.records import (
    Backward,
    Event,
    GradientsCleared,
    Nonfinite,
    OptimizerStep,
    OptimizerStepEnd,
    ParameterSet,
    RunEnd,
    ScalerStep,
    WeightsMoved,
)

Settled = tuple[NonfiniteSettled, ...]

_REMEMBERED = 64  # backwards, and origins that were skipped in a row

#: What tells the origin of one backward from that of another.
Key = tuple[str, Line | None, str]


@dataclass(slots=True)
class _Pending:
    """Bad gradients whose fate is open; ``open`` are the parameters that still have theirs."""

    event: Nonfinite
    backward: Backward | None
    open: set[int] = field(default_factory=set)

    @property
    def inside_step(self) -> int | None:
        """The step whose closure ran its backward."""
        return None if self.backward is None else self.backward.inside_step

    @property
    def by_hand(self) -> bool:
        """Whether ``autograd.grad`` returned them: the program puts them into ``.grad`` itself."""
        return self.backward is not None and not self.backward.accumulates


class Fates:
    """Follows each `Nonfinite` to its end, and which weights it has spoiled.

    What follows from spoiled weights is no news and not followed.
    """

    def __init__(self, owned: Callable[[int], bool]) -> None:
        self._owned = owned
        self._backwards: dict[int, Backward] = {}
        self._pending: dict[int, _Pending] = {}
        #: Cleared since the newest backward, and owned by nobody: an update by hand is seen late.
        self._cleared: list[_Pending] = []
        #: Cleared by the closure of a step that is still running: it has taken them in already.
        self._taken: list[_Pending] = []
        self._again: set[int] = set()
        #: Losses that no backward was called on; an exception may be why.
        self._unused: list[_Pending] = []
        self._following: set[int] = set()  # got bad gradients from spoiled weights since they last moved
        self._waiting: dict[int, OptimizerStep] = {}
        self._in_a_row: dict[Key, int] = {}
        self._spoiled: set[int] = set()  # weights a step made bad, until the program writes them anew
        self._folds: dict[type[Event], Callable[[Any], Settled]] = {
            Backward: self._backward,
            Nonfinite: self._nonfinite,
            OptimizerStep: self._step,
            OptimizerStepEnd: self._step_end,
            ScalerStep: self._scaler_step,
            GradientsCleared: self._clear,
            WeightsMoved: self._moved,
            RunEnd: self._end,
        }

    def fold(self, event: Event) -> Settled:
        """Take in the next event; what was settled by it, most often nothing."""
        fold = self._folds.get(type(event))
        told = self._nobody_used(event) if self._unused else ()
        return (*told, *fold(event)) if fold is not None else told

    def _nobody_used(self, event: Event) -> Settled:
        if isinstance(event, RunEnd) and event.reason == "exception":
            return ()
        unused, self._unused = self._unused, []
        return tuple(self._told(pending, "unused", event) for pending in unused)

    # --- bad gradients appear ---------------------------------------------------------------

    def _backward(self, event: Backward) -> Settled:
        self._backwards[event.order] = event
        if len(self._backwards) > _REMEMBERED:
            del self._backwards[next(iter(self._backwards))]
        cleared, self._cleared = self._cleared, []
        return tuple(self._settle(pending, "cleared", event) for pending in cleared)

    def _nonfinite(self, event: Nonfinite) -> Settled:
        backward = self._backwards.get(event.backward)
        pending = _Pending(event, backward, set(event.params))
        if event.backward < 0:
            self._unused += [] if self._spoiled else [pending]
            return ()
        if self._is_consequence(pending):
            self._spoiled.update(event.params)  # a step that applies them does nothing new
            self._following.update(event.params)
            return ()
        if self._is_known(pending):
            return ()
        raised = backward is not None and backward.failed and bool(event.origins)  # as anomaly mode does
        if not event.params and not pending.by_hand and not raised:
            loss_is_bad = event.loss is not None and not math.isfinite(event.loss) and not self._spoiled
            return (self._told(pending, "harmless", event),) if loss_is_bad else ()
        self._pending[event.backward] = pending
        if len(self._pending) > _REMEMBERED:
            del self._pending[next(iter(self._pending))]
        return ()

    def _is_consequence(self, pending: _Pending) -> bool:
        """Whether it came from weights that an earlier step has spoiled."""
        step = pending.inside_step
        if step is not None and any(one.inside_step == step for one in self._taken):
            self._again.add(step)  # a closure called anew, at weights that its step has moved with the first
            return True
        if not self._spoiled:
            return False
        reached = () if pending.backward is None else (*pending.backward.reached, *pending.backward.written)
        used = {one.parameter for one in pending.event.origins if one.born == "weights"}
        return not self._spoiled.isdisjoint((*pending.event.params, *reached, *used))

    def _is_known(self, pending: _Pending) -> bool:
        """Whether a bad gradient of this window was only added to, or the same origin has made it again."""
        for known in self._pending.values():
            same = not pending.event.origins or _key(known.event) == _key(pending.event)
            if same and known.open and not known.open.isdisjoint(pending.open):
                known.open |= pending.open
                return True
        return False

    # --- they are used ----------------------------------------------------------------------

    def _step(self, event: OptimizerStep) -> Settled:
        if event.closure or event.scaler is not None or event.grad_scale != 1:
            self._waiting[event.order] = event  # a closure runs first; a scaler's fused kernel may skip
            return ()
        return self._consume(event, event, event.nonfinite, event.ready)

    def _step_end(self, event: OptimizerStepEnd) -> Settled:
        begin = self._waiting.pop(event.begin, None)
        if event.skipped and begin is not None:
            return self._skip(event, begin.params)
        taken = self._end_of_closures(event, begin)
        if event.failed or event.skipped:
            return taken
        settled = taken
        if begin is not None:
            bad = self._still_bad(event.ready) if begin.closure else begin.nonfinite
            settled += self._consume(begin, event, bad, event.ready)
        if not settled:
            self._in_a_row.clear()
        self._spoiled.update(event.nonfinite_weights)
        return settled

    def _end_of_closures(self, event: OptimizerStepEnd, begin: OptimizerStep | None) -> Settled:
        """What a closure cleared was used if the next one met NaN again; a line search may back off."""
        mine = [one for one in self._taken if one.inside_step == event.begin]
        self._taken = [one for one in self._taken if one.inside_step != event.begin]
        if event.begin not in self._again:
            return tuple(self._told(one, "cleared", event) for one in mine)
        self._again.discard(event.begin)
        told = tuple(self._told(one, "consumed", event, step=begin) for one in mine)
        self._spoiled.update(index for one in mine for index in one.event.params)
        return told

    def _still_bad(self, ready: ParameterSet) -> ParameterSet:
        """Bad gradients that nothing has cleared: what a closure's step found is not told itself."""
        bad = set().union(*(pending.open for pending in self._pending.values()))
        return tuple(sorted(bad.intersection(ready)))

    def _consume(
        self, step: OptimizerStep, event: Event, nonfinite: ParameterSet, ready: ParameterSet
    ) -> Settled:
        bad = set(nonfinite) - self._spoiled
        settled: list[NonfiniteSettled] = []
        for pending in self._touched(ready):
            hit = pending.open & bad or (bad if pending.by_hand else set())
            if hit:
                settled.append(self._settle(pending, "consumed", event, step=step, params=sorted(hit)))
            else:
                settled += self._give_up(pending, ready, "repaired", event)
        if bad and not settled:
            nobody = _Pending(Nonfinite(step=event.step, order=event.order, backward=-1), None)
            settled.append(self._told(nobody, "consumed", event, step=step, params=sorted(bad)))
        self._spoiled.update(bad)
        return tuple(settled)

    # --- they go without harm ---------------------------------------------------------------

    def _scaler_step(self, event: ScalerStep) -> Settled:
        return self._skip(event, event.params) if event.skipped else ()

    def _skip(self, event: Event, params: ParameterSet) -> Settled:
        touched = self._touched(params)
        return tuple(self._settle(pending, "skipped", event) for pending in touched)

    def _clear(self, event: GradientsCleared) -> Settled:
        if not self._pending:
            return ()
        return tuple(
            told
            for pending in self._touched(event.params)
            for told in self._give_up(pending, event.params, "cleared", event)
        )

    def _give_up(self, pending: _Pending, params: Iterable[int], fate: Fate, event: Event) -> Settled:
        """Some of its parameters hold it no longer; when none does, it is settled."""
        had = bool(pending.open)
        pending.open.difference_update(params)
        if not had or pending.open:
            return ()
        if fate == "cleared" and pending.inside_step in self._waiting:
            self._taken.append(self._pending.pop(pending.event.backward))
            return ()
        if fate == "cleared" and not any(map(self._owned, pending.event.params)):
            self._cleared.append(self._pending.pop(pending.event.backward))
            return ()
        return (self._settle(pending, fate, event),)

    def _moved(self, event: WeightsMoved) -> Settled:
        """Updated by hand; or loaded, copied, reset: then what was spoiled may be well again."""
        self._spoiled.difference_update(i for i in event.params if self._owned(i) or i not in self._following)
        self._following.clear()
        mine = {index for index in event.params if not self._owned(index)}
        if not mine:
            return ()
        settled = []
        for pending in (*self._pending.values(), *self._cleared):
            hit = mine.intersection(pending.event.params)
            if hit:
                settled.append(self._settle(pending, "consumed", event, params=sorted(hit)))
                self._spoiled.update(hit)
                self._cleared = [other for other in self._cleared if other is not pending]
        return tuple(settled)

    def _end(self, event: RunEnd) -> Settled:
        fate: Fate = "aborted" if event.reason == "exception" else "left"
        cleared = tuple(self._settle(pending, "cleared", event) for pending in self._cleared)
        left = tuple(self._settle(pending, fate, event) for pending in list(self._pending.values()))
        unused = tuple(self._told(pending, "aborted", event) for pending in self._unused)
        return (*cleared, *left, *unused)

    # --- settled ----------------------------------------------------------------------------

    def _touched(self, params: Iterable[int]) -> list[_Pending]:
        if not self._pending:
            return []
        wanted = set(params)
        return [p for p in self._pending.values() if p.by_hand or not p.open.isdisjoint(wanted)]

    def _settle(
        self,
        pending: _Pending,
        fate: Fate,
        event: Event,
        *,
        step: OptimizerStep | None = None,
        params: Iterable[int] | None = None,
    ) -> NonfiniteSettled:
        self._pending.pop(pending.event.backward, None)
        return self._told(pending, fate, event, step=step, params=params)

    def _told(
        self,
        pending: _Pending,
        fate: Fate,
        event: Event,
        *,
        step: OptimizerStep | None = None,
        params: Iterable[int] | None = None,
    ) -> NonfiniteSettled:
        return NonfiniteSettled(
            event=pending.event,
            backward=pending.backward,
            fate=fate,
            at=event,
            step=step,
            params=tuple(pending.event.params if params is None else params),
            in_a_row=self._count(pending, fate),
            spoiled=frozenset(self._spoiled),
        )

    def _count(self, pending: _Pending, fate: Fate) -> int:
        """How often in a row, without a good step between, this origin cost a step."""
        if fate not in ("skipped", "cleared") or len(self._in_a_row) > _REMEMBERED:
            return 1
        key = _key(pending.event)
        self._in_a_row[key] = self._in_a_row.get(key, 0) + 1
        return self._in_a_row[key]


def _key(event: Nonfinite) -> Key:
    first = event.origins[0] if event.origins else None
    return ("", None, "") if first is None else (first.op, line_of(first.site), first.module)
