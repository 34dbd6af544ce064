"""What a rule needs to see before its silence says anything, and what a run has shown of it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graddebug.records import (
    Backward,
    Clipped,
    Event,
    Forward,
    GradientsEdited,
    HalfMeasured,
    OptimizerStep,
    ScalerSeen,
    SchedulerStep,
)

if TYPE_CHECKING:
    from graddebug.diagnose.rule import Rule


@dataclass(frozen=True, slots=True)
class Evidence:
    """A kind of event that a rule builds on.

    ``missing`` says what it means that none came. ``hidden``: then the rule could not judge; otherwise the
    program has nothing that the rule is about.
    """

    kinds: tuple[type[Event], ...]
    missing: str
    hidden: bool = False
    counts: Callable[[Any], bool] = lambda _: True


BACKWARDS = Evidence((Backward,), "no backward was seen", hidden=True, counts=lambda event: event.accumulates)
STEPS = Evidence((OptimizerStep,), "no optimizer's step was seen", hidden=True)
MEASURED_NODES = Evidence(
    (Backward,), "no backward's nodes were measured", hidden=True, counts=lambda event: event.captured
)
GRAPHS = Evidence(
    (Backward,),
    "no backward's graph was described",
    hidden=True,
    counts=lambda event: event.graph is not None,
)
STATISTICS = Evidence((), "no step's statistics were recorded", hidden=True)
EVALUATION = Evidence((Forward,), "no module ran in eval mode", counts=lambda event: not event.training)
SCALER = Evidence((ScalerSeen,), "no loss scaler was in use", counts=lambda event: event.enabled)
HALF = Evidence((HalfMeasured,), "nothing in half precision was measured")
SCHEDULER = Evidence((SchedulerStep,), "no learning-rate scheduler was in use")
CLIPPING = Evidence((Clipped, GradientsEdited), "no gradient was clipped or edited")

ALL = (
    BACKWARDS,
    STEPS,
    MEASURED_NODES,
    GRAPHS,
    EVALUATION,
    SCALER,
    HALF,
    SCHEDULER,
    CLIPPING,
)


class Outcome(enum.Enum):
    """What became of a rule in a run."""

    FOUND = "found"
    NOTHING_FOUND = "nothing found"
    NOT_APPLICABLE = "nothing to judge"
    NOT_JUDGED = "could not be judged"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A rule, what became of it, and why where it judged nothing."""

    rule: str
    slug: str
    outcome: Outcome
    reason: str = ""


class Sightings:
    """Which evidence a run has shown so far; costs one look-up an event."""

    def __init__(self) -> None:
        self.seen: set[Evidence] = set()
        self._wanted: dict[type[Event], tuple[Evidence, ...]] = {}
        for evidence in ALL:
            for kind in evidence.kinds:
                self._wanted[kind] = (*self._wanted.get(kind, ()), evidence)

    def look(self, event: Event) -> None:
        """Note what an event shows for the first time."""
        wanted = self._wanted.get(type(event))
        if wanted:
            shown = [evidence for evidence in wanted if evidence.counts(event)]
            if shown:
                self.seen.update(shown)
                self._wanted[type(event)] = tuple(one for one in wanted if one not in shown)

    def judgement(self, rule: type[Rule], *, found: bool, failed: str = "") -> Judgement:
        """What became of a rule."""
        if found:
            return Judgement(rule.code, rule.slug, Outcome.FOUND)
        if failed:
            return Judgement(rule.code, rule.slug, Outcome.NOT_JUDGED, failed)
        missing = self.missing(rule.needs)
        if missing is None:
            return Judgement(rule.code, rule.slug, Outcome.NOTHING_FOUND)
        outcome = Outcome.NOT_JUDGED if missing.hidden else Outcome.NOT_APPLICABLE
        return Judgement(rule.code, rule.slug, outcome, missing.missing)

    def missing(self, needs: Sequence[Evidence]) -> Evidence | None:
        """The first of what is needed that has not come; what could not be seen before what is not there."""
        absent: Iterable[Evidence] = [one for one in needs if one not in self.seen]
        return next(iter(sorted(absent, key=lambda one: not one.hidden)), None)
