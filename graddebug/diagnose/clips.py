"""What the rules about clipping share: what a call was for, what it found, and what it left unclipped."""

from __future__ import annotations

import math
from dataclasses import dataclass

from graddebug.diagnose.wording import number
from graddebug.ledger import Ledger, Line, Portion, line_of, newest_of
from graddebug.records import Clipped, Forward, ParameterSet

#: A limit so many times larger than the norm is there to read the norm, not to clip.
OUT_OF_REACH = 1000.0

#: Lines, or lines and sets of parameters, that a rule remembers.
REMEMBERED = 64


def bounds(event: Clipped) -> bool:
    """Whether the call is there to clip; ``max_norm=inf``, or a limit out of reach, only reads the norm."""
    if event.max_norm is None:
        return event.clip_value is None or math.isfinite(event.clip_value)
    if not math.isfinite(event.max_norm):
        return False
    norm = event.total_norm
    return not norm or not math.isfinite(norm) or event.max_norm < OUT_OF_REACH * norm


def acted(event: Clipped) -> bool:
    """Whether it surely changed gradients; not known of one that clips elements."""
    return event.total_norm is not None and event.max_norm is not None and event.total_norm > event.max_norm


def is_scaled(event: Clipped) -> bool:
    """Whether the gradients carried a loss scale: then everything else is the business of GD401."""
    return event.scale is not None and event.scale != 1


def limit(event: Clipped) -> str:
    """What it clips to, in words."""
    if event.clip_value is not None:
        return f"±{number(event.clip_value)}"
    return "a norm" if event.max_norm is None else f"a norm of {number(event.max_norm)}"


def meant(event: Clipped, ledger: Ledger) -> ParameterSet:
    """What the call was to clip; what optimizers own, where it was given nothing that has a gradient."""
    given = event.params or event.without
    return given or tuple(sorted({p for one in ledger.optimizers.values() for p in one.owned}))


def finds_new(event: Clipped, ledger: Ledger) -> bool:
    """Whether any of that holds something that no step has used, and that is there for a step."""
    return any(c.life.fresh and c.life.owners for c in ledger.cohorts.overlapping(meant(event, ledger)))


def unclipped(portion: Portion) -> bool:
    """Whether a step uses gradients that nothing clipped, or edited, after they were written."""
    if not portion.fresh or portion.life.edited:
        return False
    clip = portion.life.clip
    return clip is None or portion.life.clipped_at < newest_of(portion.fresh).at or not bounds(clip)


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a clip that waits for its consequence, at tick ``at`` of the ledger."""

    event: Clipped
    at: int
    params: frozenset[int]


class Cycle:
    """Where in the cycle of forward, backward and step a clip stands that finds nothing new.

    Both before the first and after the last there is nothing to clip. It stands early if nothing had been
    written when its line ran first, or if a forward has run since the last step.
    """

    def __init__(self) -> None:
        self._forward = -1
        self._early: set[Line | None] = set()

    def forward(self, event: Forward, ledger: Ledger) -> None:
        """A module has run."""
        if event.built_graph and event.training:
            self._forward = ledger.tick

    def is_early(self, event: Clipped, ledger: Ledger) -> bool:
        """Whether such a call stands in front of the backward, rather than behind the step."""
        stepped = max((one.last_tick for one in ledger.optimizers.values()), default=-1)
        cohorts = ledger.cohorts.overlapping(meant(event, ledger))
        if self._forward > stepped or all(cohort.life.first_write < 0 for cohort in cohorts):
            self._early.add(line_of(event.site))
        return line_of(event.site) in self._early


def known(**numbers: float | None) -> dict[str, object]:
    """Those of a claim's numbers that are known."""
    return {name: value for name, value in numbers.items() if value is not None}
