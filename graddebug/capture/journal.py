"""Events in program order, held back until the numbers they speak of can be read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from graddebug.capture.readback import Readback
from graddebug.capture.statistics import StepStatistics
from graddebug.errors import FindingRaised
from graddebug.graph import BackwardGraph
from graddebug.records import (
    ErrorRaised,
    Event,
    ModuleTable,
    NodeTable,
    OptimizerInfo,
    ParameterInfo,
    Site,
    StepEnd,
    StepRecord,
)

#: Events held back at most before they are passed on without waiting for the step's end.
HELD_BACK = 256


class Observer(Protocol):
    """Who is told what capture sees. Any of these may raise only to stop the user's program on purpose."""

    def parameter(self, info: ParameterInfo) -> None:
        """A parameter was seen for the first time."""

    def optimizer(self, info: OptimizerInfo) -> None:
        """An optimizer was seen for the first time."""

    def graph(self, graph: BackwardGraph) -> None:
        """A backward graph of a structure not seen before."""

    def event(self, event: Event) -> None:
        """Something happened."""

    def explain(self, event: ErrorRaised) -> list[str]:
        """An exception of torch's is on its way to the program: what there is to say of it; never raises."""

    def step(
        self, record: StepRecord, statistics: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None
    ) -> None:
        """A step is over."""

    def nodes(self, table: NodeTable) -> None:
        """The nodes of a backward were measured."""

    def modules(self, table: ModuleTable) -> None:
        """The outputs of modules were measured in a step."""


class Journal:
    """Stamps, orders and passes on events.

    With ``eager`` each is passed on at once, and the observer may stop the program.
    """

    def __init__(
        self, observer: Observer, readback: Readback, statistics: StepStatistics, *, eager: bool
    ) -> None:
        self._observer = observer
        self._readback = readback
        self._statistics = statistics
        self._eager = eager
        self._held: list[Callable[[], Iterable[Event]]] = []
        self._order = 0
        self._mark: _Mark | None = None
        self._began = time.time()
        self.step = 0
        self.loss: Callable[[], float | None] = _nothing
        self.scale: Callable[[], float | None] = _nothing
        self.graph: str | None = None
        #: Whether the step has had a backward or an optimizer's step: without one it is no step.
        self.happened = False

    def stamp(self, site: Site | None) -> dict[str, Any]:
        """The fields every event has, for one that happens now."""
        stamp = {
            "step": self.step,
            "order": self._next_order(),
            "site": site,
            "thread": threading.get_ident(),
        }
        if self._mark is not None:
            self._mark.stamps.append(stamp)
        return stamp

    def _next_order(self) -> int:
        order = self._order
        self._order += 1
        return order

    def mark(self) -> None:
        """The step may prove to have ended here: what is held back from now on would then belong to the next.

        Forward calls come before the backward that shows that a new step began.
        """
        self._mark = _Mark(len(self._held), self._next_order())

    def add(self, make: Callable[[], Iterable[Event]]) -> None:
        """An event whose numbers may still be on their way; ``make`` is called when they are here."""
        self._held.append(make)
        if self._eager or len(self._held) > HELD_BACK:
            self.flush()

    def note(self, kind: type[Event], site: Site | None, /, **fields: Any) -> int:
        """An event that is complete; returns its order."""
        stamp = self.stamp(site)
        self.add(lambda: (kind(**stamp, **fields),))
        return int(stamp["order"])

    def nodes(self, table: NodeTable) -> None:
        """Pass on the numbers of a measured backward's nodes."""
        self._observer.nodes(table)

    def modules(self, table: ModuleTable) -> None:
        """Pass on the numbers of a measured forward's modules."""
        self._observer.modules(table)

    def flush(self) -> None:
        """Read what is on its way and pass on all events held back."""
        if not self._held:
            return
        self._readback.collect()
        held, self._held, self._mark = self._held, [], None
        for place, make in enumerate(held):
            try:
                for event in make():
                    self._observer.event(event)
            except BaseException:
                self._held = held[place + 1 :] + self._held
                raise

    def explain(self, raised: BaseException, site: Site | None, /, **fields: Any) -> None:
        """An exception of torch's is on its way to the program: pass it on, and add what is said of it."""
        stamp = self.stamp(site)
        try:
            self.flush()
        except FindingRaised as finding:  # the program's own exception stays the one that is raised
            raised.add_note(str(finding))
        for note in self._observer.explain(ErrorRaised(**stamp, **fields)):
            raised.add_note(note)

    def end_step(self, *, at_mark: bool) -> None:
        """The step is over, now or ``at_mark``: pass on its events, its statistics and its record."""
        now = time.time()
        mark = self._mark if at_mark else None
        mark = mark or _Mark(len(self._held), self._next_order())
        following, self._held = self._held[mark.place :], self._held[: mark.place]
        event = StepEnd(step=self.step, order=mark.order, loss=None, duration=now - self._began)
        loss, scale = self.loss, self.scale
        self._held.append(lambda: (replace(event, loss=loss()),))
        self.flush()
        statistics = self._statistics.take() if self._statistics.measured else None
        record = StepRecord(
            step=self.step,
            time=now,
            duration=event.duration,
            loss=loss(),
            scale=scale(),
            graph=self.graph,
        )
        for stamp in mark.stamps:
            stamp["step"] += 1
        self.step += 1
        self.loss, self.scale, self.graph = _nothing, _nothing, None
        self._began, self.happened = now, False
        self._held = following + self._held
        self._observer.step(record, statistics)


@dataclass(slots=True)
class _Mark:
    """Where the step may have ended: the place among the held events, its order, and stamps made since."""

    place: int
    order: int
    stamps: list[dict[str, Any]] = field(default_factory=list)


def _nothing() -> None:
    return None
