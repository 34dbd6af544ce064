"""What the ledger reports of an event: the facts that rules judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from graddebug.ledger.life import Contribution, Life, Old
from graddebug.records import (
    Backward,
    Event,
    GradientsCleared,
    Nonfinite,
    OptimizerStep,
    OptimizerStepEnd,
    ParameterSet,
)

if TYPE_CHECKING:
    from graddebug.ledger.books import OptimizerLife


@dataclass(frozen=True, slots=True)
class Portion:
    """Parameters that share a life, and what was in their gradients at that moment.

    ``rescaled``: the used part was scaled by hand before more was added. ``life`` goes on changing.
    """

    members: ParameterSet
    fresh: tuple[Contribution, ...]
    old: Old | None
    life: Life
    rescaled: bool = False


@dataclass(frozen=True, slots=True)
class Consumed:
    """A step is about to apply gradients (a closure's step: has applied them).

    ``portions`` are those of its parameters that have a gradient. ``written``: whether any gradient of
    the optimizer was written or edited since tick ``since``, that of its step before. ``number`` counts
    the optimizer's completed steps before this one, ``backwards`` the most backwards that any of its
    gradients holds and no step has used.
    """

    kind: ClassVar[str] = "consumed"
    optimizer: OptimizerLife
    step: OptimizerStep
    event: OptimizerStep | OptimizerStepEnd
    portions: tuple[Portion, ...]
    written: bool
    since: int
    number: int
    backwards: int


@dataclass(frozen=True, slots=True)
class Discarded:
    """Gradients that no step had used were cleared; ``inside_step``: by a running step's closure."""

    kind: ClassVar[str] = "discarded"
    event: GradientsCleared
    portions: tuple[Portion, ...]
    inside_step: bool


@dataclass(frozen=True, slots=True)
class AddedToNonfinite:
    """A backward accumulated onto a gradient that no step had used and that held NaN or inf."""

    kind: ClassVar[str] = "added_to_nonfinite"
    event: Backward
    portions: tuple[Portion, ...]


#: How NaN or inf in gradients ended: a step applied them (``consumed``), a scaler skipped the step, the
#: program cleared them, they were finite again when a step used them (``repaired``), no gradient had any,
#: only the loss (``harmless``), or the run was over before, by an exception (``aborted``) or not (``left``).
Fate = Literal["consumed", "skipped", "cleared", "repaired", "harmless", "aborted", "left", "unused"]


@dataclass(frozen=True, slots=True)
class NonfiniteSettled:
    """It is known what became of the NaN and inf of one backward.

    ``at`` is the event that settled it, ``step`` the one that applied them (None: the program's own
    update). ``event`` has ``backward`` -1 where a step applied some that no backward was seen to write.
    ``in_a_row`` counts the backwards of the same origin, up to this one, that were skipped or cleared
    without a good step between. ``spoiled`` are the parameters that steps before it have made NaN or inf.
    """

    kind: ClassVar[str] = "nonfinite_settled"
    event: Nonfinite
    backward: Backward | None
    fate: Fate
    at: Event
    step: OptimizerStep | None
    params: ParameterSet
    in_a_row: int
    spoiled: frozenset[int]


Fact = Consumed | Discarded | AddedToNonfinite | NonfiniteSettled
