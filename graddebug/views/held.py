"""What is in each parameter's gradient at any moment, kept by group and not by parameter.

Parameters with the same history are one set, so an event costs a few set operations whatever the
number of parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from graddebug.records import (
    Backward,
    Event,
    GradientsCleared,
    OptimizerStep,
    OptimizerStepEnd,
    ParameterSet,
)


@dataclass(frozen=True, slots=True)
class Held:
    """The contributions in a gradient: ``fresh`` were written since a step last consumed it.

    Both are counts of backwards; ``since`` is the step of the oldest, ``last`` the order of the
    newest.
    """

    since: int
    last: int
    fresh: int = 0
    used: int = 0

    @property
    def backwards(self) -> int:
        """How many backwards it holds."""
        return self.fresh + self.used


Groups = Mapping[Held, frozenset[int]]


class GradientsHeld:
    """Folds events, in order, into groups of parameters whose gradients hold the same."""

    def __init__(self) -> None:
        self.groups: dict[Held, frozenset[int]] = {}
        self._begun: dict[int, OptimizerStep] = {}

    def of(self, params: Iterable[int]) -> dict[Held, frozenset[int]]:
        """The groups cut down to ``params``; those without a gradient are in none."""
        wanted = frozenset(params)
        cut = {held: members & wanted for held, members in self.groups.items()}
        return {held: members for held, members in cut.items() if members}

    def begun(self, order: int) -> OptimizerStep | None:
        """The step that began at ``order`` and has not ended yet."""
        return self._begun.get(order)

    def feed(self, event: Event) -> None:
        """Take the next event in."""
        match event:
            case Backward(accumulates=True):
                self._write(event)
            case GradientsCleared():
                self._take(event.params)
            case OptimizerStep():
                self._begun[event.order] = event
            case OptimizerStepEnd():
                self._consume(event)

    def _write(self, event: Backward) -> None:
        new = frozenset(event.written)
        for held, members in self._take(event.written).items():
            self._put(replace(held, fresh=held.fresh + 1, last=event.order), members)
            new -= members
        self._put(Held(since=event.step, last=event.order, fresh=1), new)

    def _consume(self, end: OptimizerStepEnd) -> None:
        begin = self._begun.pop(end.begin, None)
        if begin is None or end.skipped or end.failed:
            return
        for held, members in self._take(consumed(begin, end)).items():
            self._put(replace(held, used=held.backwards, fresh=0), members)

    def _take(self, params: ParameterSet) -> dict[Held, frozenset[int]]:
        taken = self.of(params)
        for held, members in taken.items():
            left = self.groups.pop(held) - members
            self._put(held, left)
        return taken

    def _put(self, held: Held, members: frozenset[int]) -> None:
        if members:
            self.groups[held] = self.groups.get(held, frozenset()) | members


def consumed(begin: OptimizerStep, end: OptimizerStepEnd | None) -> ParameterSet:
    """Parameters whose gradient a step consumed: with a closure, those that were ready at its end."""
    if end is None:
        return begin.ready
    if end.skipped or end.failed:
        return ()
    return end.ready if begin.closure else begin.ready
