"""What the parts of one watch's capture share."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from graddebug.capture import underscored
from graddebug.capture.cuts import Cuts
from graddebug.capture.fused_steps import FusedSteps
from graddebug.capture.gradients import Changes, GradientState, Measure
from graddebug.capture.graph import GraphCatalogue
from graddebug.capture.growth import Growth
from graddebug.capture.journal import Journal
from graddebug.capture.measuring import Measuring
from graddebug.capture.modules import ModuleIntervals
from graddebug.capture.parameters import ParameterTable
from graddebug.capture.quiet import Quiet
from graddebug.capture.readback import Numbers, Readback
from graddebug.capture.sites import Sites
from graddebug.capture.stale_casts import StaleCasts
from graddebug.capture.statistics import StepStatistics
from graddebug.capture.weights import WeightState
from graddebug.records import (
    Event,
    GradientsCleared,
    GradientsEdited,
    GraphReleased,
    ParameterSet,
    ParametersUnregistered,
    Site,
    WeightsMoved,
)

#: A freed graph: its forward's site, order, module and mode, and the bytes it held (None: not counted).
Released = tuple[Site | None, int, str, bool, int | None]


@dataclass(frozen=True)
class Subjects:
    """What the user asked to watch, by name; nothing means: find everything."""

    modules: dict[str, nn.Module] = field(default_factory=dict)
    optimizers: dict[str, torch.optim.Optimizer] = field(default_factory=dict)
    scalers: dict[str, torch.amp.GradScaler] = field(default_factory=dict)

    @property
    def anything(self) -> bool:
        """Whether all modules and optimizers of the program are watched."""
        return not self.modules and not self.optimizers


@dataclass
class Context:
    """The shared state of one watch."""

    table: ParameterTable
    state: GradientState
    weights: WeightState
    statistics: StepStatistics
    readback: Readback
    journal: Journal
    sites: Sites
    intervals: ModuleIntervals
    graphs: GraphCatalogue
    measuring: Measuring
    quiet: Quiet
    cuts: Cuts
    named_modules: bool
    named_optimizers: bool
    #: Filled by finalisers of graphs, which may run anywhere: appending is all they do.
    released: deque[Released] = field(default_factory=deque)
    #: Parameters of the modules that ran in eval mode and built a graph, by their Forward's order.
    eval_forwards: dict[int, ParameterSet] = field(default_factory=dict)
    #: Backwards under way, outermost first.
    backwards: list[OpenBackward] = field(default_factory=list)
    #: Calls of ``torch.autograd.grad`` under way, outermost first.
    differentiations: list[OpenBackward] = field(default_factory=list)
    #: Orders of optimizer steps under way, outermost first.
    steps: list[int] = field(default_factory=list)
    #: Calls of a scaler's ``step`` under way, outermost first.
    scaler_steps: list[OpenScalerStep] = field(default_factory=list)
    #: What fused optimizers have changed.
    fused: FusedSteps = field(default_factory=FusedSteps)
    #: What steps inside of autocast regions have changed.
    casts: StaleCasts = field(default_factory=StaleCasts)
    #: Which lines' graphs grow.
    growth: Growth = field(default_factory=Growth)
    #: Whether a transform of ``torch.func`` has differentiated something.
    inside_func: bool = False
    #: Orders of optimizer steps inside which ``torch.autograd.grad`` ran; and whether one of them found no
    #: ``.grad`` at all: an optimizer that differentiates by itself.
    differentiating: set[int] = field(default_factory=set)
    inside_step: bool = False
    #: Outermost optimizer steps that have returned.
    windows: int = 0
    #: The parameters that each thread trains, by its identity.
    threads: dict[int, set[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let the state of the gradients know what other threads are at."""
        self.state.busy = self._busy

    def uses(self, params: ParameterSet) -> None:
        """This thread runs a backward over ``params``: from now on only it may read their gradients."""
        mine = self.threads.setdefault(threading.get_ident(), set())
        if not mine.issuperset(params):
            for others in self.threads.values():
                others.difference_update(params)
            mine.update(params)

    def _busy(self) -> Collection[int]:
        """Parameters that another living thread trains."""
        here = threading.get_ident()
        if len(self.threads) < 2 or (here not in self.threads and underscored.inside_backward()):
            return ()  # the engine's own threads work for the one that called it
        alive = {thread.ident for thread in threading.enumerate()} - {here}
        return frozenset().union(*(params for thread, params in self.threads.items() if thread in alive))

    @property
    def watches_everything(self) -> bool:
        """Whether the user named nothing: all modules and optimizers of the program are watched."""
        return not self.named_modules and not self.named_optimizers

    def outside(self, site: Site | None, *, doubt: bool = True) -> None:
        """Report what the program did to gradients since the last look, noticed before an event at ``site``.

        Values are checked where counters leave a ``doubt``, unless the gradients are about to go anyway.
        """
        changes = self.state.outside(doubt=doubt)
        if changes:
            self._report(changes, site)

    def weights_outside(self) -> None:
        """Report which weights the program changed itself since the last look; not those of a step."""
        moved = () if self.steps else self.weights.look()
        if moved:
            self.statistics.weights.moved(moved)
            self.journal.note(WeightsMoved, None, params=self.table.intern(moved))

    def _report(self, changes: Changes, site: Site | None) -> None:
        if not self.readback.waiting:
            settled = changes.settle()
            self.state.settled(settled)
            if not settled:
                return
        stamps = [self.journal.stamp(None) for _ in range(4)]

        def make() -> list[Event]:
            settled = changes.settle()
            intern = self.table.intern
            events: list[Event] = []
            if settled.to_none:
                members = intern(settled.to_none)
                events.append(
                    GradientsCleared(**stamps[0], params=members, how="set to None", noticed_at=site)
                )
            if settled.zeroed:
                members = intern(settled.zeroed)
                events.append(
                    GradientsCleared(
                        **stamps[1], params=members, how="zeroed", to_none=False, noticed_at=site
                    )
                )
            if settled.assigned:
                events.append(edited(stamps[2], settled.assigned, "assigned"))
            if settled.in_place:
                events.append(edited(stamps[3], settled.in_place, "in place"))
            return events

        def edited(stamp: dict[str, Any], members: list[int], how: str) -> GradientsEdited:
            figures = changes.scaled.figures(members) if changes.scaled else {}
            params = self.table.intern(members)
            return GradientsEdited(**stamp, params=params, how=how, noticed_at=site, **figures)

        self.journal.add(make)

    def scaler_step(self) -> OpenScalerStep | None:
        """The innermost ``scaler.step()`` that this thread is in."""
        here = threading.get_ident()
        return next((one for one in reversed(self.scaler_steps) if one.thread == here), None)

    def drain(self) -> None:
        """Report graphs that were freed without a backward."""
        while self.released:
            site, forward, module, training, saved_bytes = self.released.popleft()
            self.journal.note(
                GraphReleased,
                site,
                forward=forward,
                module=module,
                training=training,
                saved_bytes=saved_bytes,
            )

    def report_unregistered(self) -> None:
        """Say which parameters no watched module holds any longer (a layer was replaced)."""
        gone = self.table.take_unregistered()
        if gone:
            self.journal.note(ParametersUnregistered, None, params=self.table.intern(gone))


@dataclass(slots=True)
class OpenBackward:
    """A backward under way; ``thread`` called it."""

    order: int
    thread: int = 0
    written: list[int] = field(default_factory=list)
    forwards: list[int] = field(default_factory=list)
    #: The scale of each scaler whose ``scale()`` made a part of the graph, by the scaler's index.
    scales: dict[int, Numbers] = field(default_factory=dict)
    reported: bool = False
    step: int = 0


@dataclass(slots=True)
class OpenScalerStep:
    """A ``scaler.step(optimizer)`` under way, called by ``thread``.

    ``gradients`` are those that the optimizer's step inside it found, ``optimizer_step`` its order.
    """

    scaler: int
    optimizer: int
    thread: int
    scale: Numbers
    optimizer_step: int | None = None
    gradients: Measure | None = None
