"""The ledger: folds events, in program order, into each gradient's life, and tells facts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from graddebug.ledger.cohorts import Cohort, Partition
from graddebug.ledger.facts import AddedToNonfinite, Consumed, Discarded, Fact, Portion
from graddebug.ledger.fates import Fates
from graddebug.ledger.life import Contribution, Line, count_of, line_of, newest_of
from graddebug.ledger.scaling import Division, ScalerLife, is_scaled
from graddebug.records import (
    Backward,
    CheckpointCut,
    Clipped,
    Event,
    GradientsCleared,
    GradientsEdited,
    OptimizerInfo,
    OptimizerOwns,
    OptimizerStep,
    OptimizerStepEnd,
    ParameterInfo,
    ParameterSet,
    ParametersUnregistered,
    ScalerSeen,
    ScalerStep,
    ScalerUpdate,
    Site,
    TrainableChanged,
    Unscaled,
    WeightsMoved,
)

_NOTHING: tuple[Fact, ...] = ()
_REMEMBERED_BACKWARDS = 512
_STEP_CALL = re.compile(r"([A-Za-z_][\w.]*(?:\[[^\]]*\])?)\.step\(\s*(?:\)|closure)")


class OptimizerLife:
    """One optimizer's story: what it owns, and its completed steps.

    A window of an optimizer lies between two of its completed steps. ``counts`` maps a number of
    backwards to how many windows consumed that many; ``own_lines`` are the lines of the newest
    backward that each of its steps consumed, each with whether that ran in eval mode. ``discards`` counts
    the calls of its own ``zero_grad`` that threw away a finite gradient of a model in train mode.
    """

    __slots__ = (
        "called",
        "called_at",
        "counts",
        "discards",
        "groups",
        "index",
        "last",
        "last_discard",
        "last_nested",
        "last_tick",
        "own_lines",
        "owned",
        "steps",
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.owned: ParameterSet = ()
        self.groups: tuple[int, ...] = ()  # the group of each of ``owned``; empty where there is one
        self.steps = 0
        self.last: OptimizerStep | None = None
        self.last_tick = -1
        self.last_nested = False  # whether the last step ran around or inside of another
        self.counts: dict[int, int] = {}
        self.own_lines: set[tuple[Line | None, bool]] = set()
        self.discards = 0
        self.last_discard: GradientsCleared | None = None
        self.called = ""  # `opt` where the first clear or step says `opt.zero_grad()` or `opt.step()`
        self.called_at = -1

    @property
    def usual_count(self) -> int | None:
        """How many backwards most of its windows consumed; None before the first."""
        return max(self.counts, key=lambda count: self.counts[count]) if self.counts else None

    def steps_after(self, part: Contribution) -> bool:
        """Whether it has stepped right after such a backward: same line, same mode."""
        return (part.line, part.evaluated) in self.own_lines

    def shares_its_word(self, other: OptimizerLife) -> bool:
        """Whether the other one is called the same while both step: by the variable of a loop over them."""
        both = self.last_tick > other.called_at and other.last_tick > self.called_at
        return both and self.called == other.called and self is not other


class _OpenStep:
    """A step between its entry and its return."""

    __slots__ = ("begin", "nested", "settled")

    def __init__(self, begin: OptimizerStep) -> None:
        self.begin = begin
        self.settled = begin.closure  # a closure's gradients count when it returns
        self.nested = False


class Ledger:
    """Every gradient's life, and every optimizer's, as of the last event folded.

    ``tick`` numbers events as they are fed: a backward is fed when it returns, so ticks, unlike
    ``order``, always have the write before its use. ``window`` counts completed outermost steps.
    """

    def __init__(self, parameters: Sequence[ParameterInfo], optimizers: Sequence[OptimizerInfo]) -> None:
        self.parameters = parameters
        self.optimizer_infos = optimizers
        self.cohorts = Partition(parameters)
        self.optimizers: dict[int, OptimizerLife] = {}
        self.never_stepped: dict[int, OptimizerLife] = {}
        self.tick = -1
        self.window = 0
        #: The newest accumulating backward of each line, with its tick.
        self.backwards: dict[Line | None, tuple[int, Backward]] = {}
        #: Which optimizers consumed a backward in their own parameters, and when: order -> {optimizer: tick}.
        self.consumers: dict[int, dict[int, int]] = {}
        #: Lines that have cleared gradients which a step had used.
        self.lines_clearing_used: set[Line | None] = set()
        #: Parameters that a watched module held once and holds no longer, and the tick that was noticed.
        self.unregistered: dict[int, int] = {}
        #: Trainable parameters that ran inside a checkpoint which no gradient comes back through: the newest
        #: such event of each, with its tick.
        self.cut: dict[int, tuple[int, CheckpointCut]] = {}
        #: Every loss scaler by its index.
        self.scalers: dict[int, ScalerLife] = {}
        self._open: dict[int, _OpenStep] = {}
        self._fates = Fates(lambda index: bool(self.cohorts.life(index).owners))
        self._unowned: tuple[int, tuple[Cohort, ...]] = (-1, ())
        self._folds: dict[type[Event], Callable[[Any], tuple[Fact, ...]]] = {
            Backward: self._backward,
            GradientsCleared: self._cleared,
            GradientsEdited: self._edited,
            Clipped: self._clipped,
            OptimizerOwns: self._owns,
            TrainableChanged: self._trainable,
            WeightsMoved: self._moved,
            ParametersUnregistered: self._unregister,
            CheckpointCut: self._cut,
            OptimizerStep: self._step,
            OptimizerStepEnd: self._step_end,
            ScalerSeen: self._scaler_seen,
            Unscaled: self._unscaled,
            ScalerStep: self._scaler_step,
            ScalerUpdate: self._scaler_update,
        }

    def fold(self, event: Event) -> tuple[Fact, ...]:
        """Take in the next event; the facts are about the moment of the event, most often none."""
        self.tick += 1
        fold = self._folds.get(type(event))
        facts = fold(event) if fold is not None else _NOTHING
        settled = self._fates.fold(event)
        return (*facts, *settled) if settled else facts

    def optimizer(self, index: int) -> OptimizerLife:
        """The life of an optimizer, begun if it is new."""
        life = self.optimizers.get(index)
        if life is None:
            life = self.optimizers[index] = self.never_stepped[index] = OptimizerLife(index)
        return life

    def parameter_name(self, index: int) -> str:
        """A parameter's qualified name."""
        return self.parameters[index].name if index < len(self.parameters) else f"parameter {index}"

    def optimizer_name(self, index: int) -> str:
        """The user's own word for an optimizer: its given name, else what its first step is called on."""
        info = self.optimizer_infos[index] if index < len(self.optimizer_infos) else None
        if info is not None and info.name.partition("#")[0] != info.type:
            return info.name
        life = self.optimizers.get(index)
        word = life.called if life is not None else ""
        if life is not None and any(map(life.shares_its_word, self.optimizers.values())):
            word = ""
        return word or (info.name if info is not None else f"optimizer {index}")

    @property
    def unowned(self) -> tuple[Cohort, ...]:
        """Cohorts of parameters that no optimizer owns."""
        if self._unowned[0] != self.cohorts.generation:
            cohorts = tuple(cohort for cohort in self.cohorts if not cohort.life.owners)
            self._unowned = (self.cohorts.generation, cohorts)
        return self._unowned[1]

    def served_another(self, part: Contribution, optimizer: int) -> bool:
        """Whether another optimizer has stepped with that backward in its own parameters."""
        return any(other != optimizer for other in self.consumers.get(part.last.order, ()))

    def backwards_since(self, tick: int) -> list[Backward]:
        """The newest accumulating backward of each line that ran one after ``tick``, oldest first."""
        recent = [(at, event) for at, event in self.backwards.values() if at > tick]
        return [event for _, event in sorted(recent, key=lambda pair: pair[0])]

    # --- backward ---------------------------------------------------------------------------

    def _backward(self, event: Backward) -> tuple[Fact, ...]:
        if not event.accumulates:
            return _NOTHING
        line = line_of(event.site)
        if event.parent is None:
            self.backwards[line] = (self.tick, event)
        if not event.written:
            return _NOTHING
        if self._open:
            self._settle_open()
        return self._write(event, line)

    def _write(self, event: Backward, line: Line | None) -> tuple[Fact, ...]:
        self.cohorts.refine(event.nonfinite, event.written_in_eval)
        bad, evaluated = frozenset(event.nonfinite), frozenset(event.written_in_eval)
        spoiled, scaled = [], is_scaled(event)
        for cohort in self.cohorts.of(event.written):
            life, one = cohort.life, cohort.members[0]
            if life.tainted and life.fresh:
                spoiled.append(Portion(cohort.members, life.fresh, life.old, life))
            part = Contribution(line, event, event, self.tick, 1, one in evaluated, one in bad, scaled=scaled)
            life.write(part, window=self.window)
        return (AddedToNonfinite(event, tuple(spoiled)),) if spoiled else _NOTHING

    # --- cleared, edited, clipped -----------------------------------------------------------

    def _cleared(self, event: GradientsCleared) -> tuple[Fact, ...]:
        inside = bool(self._open)
        if inside:
            self._settle_open()
        portions = []
        if event.optimizer is not None:
            self._learn_name(event.optimizer, event.owner)
        for cohort in self.cohorts.of(event.params):
            life = cohort.life
            if life.fresh:
                portions.append(Portion(cohort.members, life.fresh, life.old, life))
            elif life.old is not None:
                self.lines_clearing_used.add(line_of(event.site or event.noticed_at))
            life.clear(event, self.tick)
        if event.optimizer is not None and portions:
            self._discarded(event, self.optimizer(event.optimizer), portions)
        return (Discarded(event, tuple(portions), inside),) if portions else _NOTHING

    def _discarded(self, event: GradientsCleared, optimizer: OptimizerLife, portions: list[Portion]) -> None:
        parts = [part for portion in portions for part in portion.fresh]
        if not any(part.nonfinite or part.evaluated for part in parts):
            optimizer.discards += 1
            optimizer.last_discard = event

    def _edited(self, event: GradientsEdited) -> tuple[Fact, ...]:
        self._settle_open()
        line = line_of(event.site or event.noticed_at)
        part = Contribution(line, event, event, self.tick, assigned=True, scaled=None)
        for cohort in self.cohorts.of(event.params):
            if event.how == "assigned":
                cohort.life.assign(part)
            else:
                cohort.life.edit(event, self.tick)
        return _NOTHING

    def _clipped(self, event: Clipped) -> tuple[Fact, ...]:
        for cohort in self.cohorts.of(event.params):
            cohort.life.clipped_at, cohort.life.clip = self.tick, event
        return _NOTHING

    # --- loss scalers -----------------------------------------------------------------------

    def scaler_name(self, index: int) -> str:
        """The user's own word for a loss scaler."""
        scaler = self.scalers.get(index)
        return scaler.name if scaler is not None else "scaler"

    def _scaler_seen(self, event: ScalerSeen) -> tuple[Fact, ...]:
        self.scalers[event.scaler] = ScalerLife(event)
        return _NOTHING

    def _unscaled(self, event: Unscaled) -> tuple[Fact, ...]:
        if event.scaler in self.scalers:
            self.scalers[event.scaler].unscale(event)
        self._divided(event.params, event)
        return _NOTHING

    def _divided(self, params: ParameterSet, event: Division) -> None:
        for cohort in self.cohorts.of(params):
            cohort.life.scaling = cohort.life.scaling.divided(event)

    def _scaler_step(self, event: ScalerStep) -> tuple[Fact, ...]:
        if event.scaler in self.scalers:
            self.scalers[event.scaler].step(event)
        if event.skipped and event.optimizer_step is None:
            self._skipped(event.params)
        return _NOTHING

    def _scaler_update(self, event: ScalerUpdate) -> tuple[Fact, ...]:
        if event.scaler in self.scalers:
            self.scalers[event.scaler].update(event)
        return _NOTHING

    # --- optimizers -------------------------------------------------------------------------

    def _owns(self, event: OptimizerOwns) -> tuple[Fact, ...]:
        optimizer = self.optimizer(event.optimizer)
        for cohort in self.cohorts.of(optimizer.owned):
            cohort.life.owners -= {event.optimizer}
        for cohort in self.cohorts.of(event.params):
            cohort.life.owners |= {event.optimizer}
        optimizer.owned, optimizer.groups = event.params, event.groups
        self.cohorts.generation += 1
        return _NOTHING

    def _trainable(self, event: TrainableChanged) -> tuple[Fact, ...]:
        for cohort in self.cohorts.of(event.params):
            cohort.life.trainable = event.requires_grad
        return _NOTHING

    def _moved(self, event: WeightsMoved) -> tuple[Fact, ...]:
        cohorts = self.cohorts.of(event.params)
        apart = not any(cohort.life.owners for cohort in cohorts)
        for cohort in cohorts:
            cohort.life.moved_at = self.tick
            if apart:
                cohort.life.updated_at = self.tick
        return _NOTHING

    def _unregister(self, event: ParametersUnregistered) -> tuple[Fact, ...]:
        self.unregistered.update(dict.fromkeys(event.params, self.tick))
        return _NOTHING

    def _cut(self, event: CheckpointCut) -> tuple[Fact, ...]:
        self.cut.update(dict.fromkeys(event.params, (self.tick, event)))
        return _NOTHING

    def _step(self, event: OptimizerStep) -> tuple[Fact, ...]:
        optimizer = self.optimizer(event.optimizer)
        if optimizer.owned != event.params:
            self._owns(
                OptimizerOwns(
                    step=event.step, order=event.order, optimizer=event.optimizer, params=event.params
                )
            )
        if event.parent in self._open:
            self._open[event.parent].nested = True
        if not optimizer.steps and event.site is not None:
            self._learn_name(event.optimizer, _called(event.site))
        self._open[event.order] = _OpenStep(event)
        return _NOTHING if event.closure else (self._consumed(optimizer, event, event, event.ready),)

    def _learn_name(self, index: int, word: str) -> None:
        """The first word the program has for an optimizer."""
        life = self.optimizer(index)
        if word and not life.called:
            life.called, life.called_at = word, self.tick

    def _step_end(self, event: OptimizerStepEnd) -> tuple[Fact, ...]:
        opened = self._open.pop(event.begin, None)
        if opened is None:
            return _NOTHING
        if event.skipped or event.failed:
            return self._skipped(opened.begin.ready)
        if opened.begin.grad_scale != 1.0:  # the kernel leaves the gradients behind that it divided
            self._divided(opened.begin.ready, opened.begin)
        facts = _NOTHING
        if opened.begin.closure:
            facts = (self._consumed(self.optimizer(event.optimizer), opened.begin, event, event.ready),)
            self._consume(opened.begin, event.ready)
        elif not opened.settled:
            self._consume(opened.begin, opened.begin.ready)
        self._completed(opened)
        return facts

    def _consumed(
        self,
        optimizer: OptimizerLife,
        step: OptimizerStep,
        event: OptimizerStep | OptimizerStepEnd,
        ready: ParameterSet,
    ) -> Consumed:
        since, written, backwards = optimizer.last_tick, False, 0
        portions = []
        for cohort in self.cohorts.of(ready):
            life = cohort.life
            portions.append(Portion(cohort.members, life.fresh, life.old, life, life.rescaled))
            backwards = max(backwards, count_of(life.fresh))
        for cohort in self.cohorts.of(optimizer.owned):
            if cohort.life.touched > since:
                written = True
                break
        return Consumed(optimizer, step, event, tuple(portions), written, since, optimizer.steps, backwards)

    def _skipped(self, params: ParameterSet) -> tuple[Fact, ...]:
        for cohort in self.cohorts.of(params):
            cohort.life.skipped_at = self.tick
        return _NOTHING

    def _completed(self, opened: _OpenStep) -> None:
        begin = opened.begin
        optimizer = self.optimizer(begin.optimizer)
        optimizer.steps += 1
        self.never_stepped.pop(optimizer.index, None)
        optimizer.last, optimizer.last_tick = begin, self.tick
        optimizer.last_nested = opened.nested or begin.parent is not None
        if begin.parent is None:
            self.window += 1

    def _settle_open(self) -> None:
        for opened in self._open.values():
            if not opened.settled:
                opened.settled = True
                self._consume(opened.begin, opened.begin.ready)

    def _consume(self, step: OptimizerStep, ready: ParameterSet) -> None:
        optimizer = self.optimizer(step.optimizer)
        newest: Contribution | None = None
        count = 0
        for cohort in self.cohorts.of(ready):
            fresh = cohort.life.fresh
            if fresh:
                part = newest_of(fresh)
                newest = part if newest is None or part.at > newest.at else newest
                count = max(count, count_of(fresh))
                if len(self.optimizers) > 1:
                    self._note_consumers(fresh, step.optimizer)
            cohort.life.consume(step.optimizer, step)
        if newest is not None:
            optimizer.counts[count] = optimizer.counts.get(count, 0) + 1
            optimizer.own_lines.add((newest.line, newest.evaluated))

    def _note_consumers(self, fresh: tuple[Contribution, ...], optimizer: int) -> None:
        for part in fresh:
            self.consumers.setdefault(part.last.order, {})[optimizer] = self.tick
        while len(self.consumers) > _REMEMBERED_BACKWARDS:
            del self.consumers[next(iter(self.consumers))]


def _called(site: Site) -> str:
    """What ``step()`` is called on, if the line says so once; a scaler's ``step(optimizer)`` is not that."""
    calls = set(_STEP_CALL.findall(site.source))
    return calls.pop() if len(calls) == 1 else ""
