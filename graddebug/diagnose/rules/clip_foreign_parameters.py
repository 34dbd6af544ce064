"""GD608: most of a clip's total norm comes from parameters that the step does not train."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from graddebug.diagnose.causes import updated_by_hand
from graddebug.diagnose.clips import acted, is_scaled
from graddebug.diagnose.evidence import CLIPPING
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import number, quoted, sentence
from graddebug.ledger import Consumed, Ledger, Line, line_of
from graddebug.records import Clipped, OptimizerStep, ParameterSet, Severity, StepEnd

#: Owners of which an event does not say one optimizer: see `Clipped`.
_NOBODY, _SEVERAL = -1, -2


@dataclass(slots=True)
class _Clip:
    """A call in the step in progress, and the optimizers that have stepped with what it clipped."""

    event: Clipped
    served: set[int] = field(default_factory=set)
    step: OptimizerStep | None = None


@dataclass(frozen=True, slots=True)
class _Foreign:
    """What a clip counted that no step used: whose it is, and its share of the squared norm."""

    params: ParameterSet
    norm: float
    own: float


class ClipForeignParameters(Rule):
    """The limit is for the sum: what others put into it is taken from the gradients that are used."""

    code = "GD608"
    slug = "clip-foreign-parameters"
    title = "A clip counts gradients that the step does not use, and they dominate it"
    severity = Severity.WARNING
    needs = (CLIPPING,)
    why = (
        "The total norm is over all parameters that the call is given. If most of it is that of parameters "
        "which are not trained by this step (a backbone in no optimizer, the other network of a GAN), the "
        "gradients that are trained are shrunk for what they have nothing to do with."
    )
    fix = "Clip what the optimizer owns, and nothing else."
    example = (
        "clip_grad_norm_(model.parameters(), 1.0)         # wrong: only the head is trained\n"
        "head_optimizer.step()\n"
        "\n"
        "clip_grad_norm_(model.head.parameters(), 1.0)    # right\n"
        "head_optimizer.step()\n"
    )
    options = thresholds(
        windows="windows in which the clip acted, and they dominated, in a row",
        share="their share of the total norm",
    )
    windows = 3
    #: Of the squared norm.
    share = 0.5

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._clips: dict[Line | None, _Clip] = {}
        self._in_a_row: dict[Line | None, int] = {}

    def on_clipped(self, event: Clipped, ledger: Ledger) -> Claims:
        """Only a clip that acts, over gradients of different owners, can do this."""
        line = line_of(event.site)
        claims = self._settle(line, ledger) if line in self._clips else None
        if len(event.owners) > 1 and event.params and not is_scaled(event):
            self._clips[line] = _Clip(event)
        return claims

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Learn whom the clip serves."""
        for clip in self._clips.values():
            if any(portion.fresh and portion.life.clip is clip.event for portion in fact.portions):
                clip.served.add(fact.optimizer.index)
                clip.step = fact.step
        return None

    def on_step_over(self, event: StepEnd, ledger: Ledger) -> Claims:
        """All that step have stepped."""
        return [claim for line in list(self._clips) for claim in self._settle(line, ledger) or ()]

    def _settle(self, line: Line | None, ledger: Ledger) -> list[Claim]:
        clip = self._clips[line]
        if clip.step is None:
            return []  # a window of several steps, or a clip that nobody used
        del self._clips[line]
        if not acted(clip.event):
            return []
        foreign = _foreign(clip, ledger)
        dominates = foreign is not None and foreign.norm**2 > self.share * (foreign.norm**2 + foreign.own**2)
        self._in_a_row[line] = self._in_a_row.get(line, 0) + 1 if dominates else 0
        if foreign is None or self._in_a_row[line] < self.windows:
            return []
        return [_claim(clip, clip.step, foreign, ledger)]


def _foreign(clip: _Clip, ledger: Ledger) -> _Foreign | None:
    event = clip.event
    strange = [owner for owner in event.owners if owner not in clip.served and owner != _SEVERAL]
    params = tuple(p for p in event.params if _owner(p, ledger) in strange)
    if not params or _by_hand(params, ledger):
        return None
    norms = dict(zip(event.owners, event.norms, strict=True))
    norm = math.hypot(*(norms[owner] for owner in strange))
    own = math.hypot(*(value for owner, value in norms.items() if owner not in strange))
    if math.isnan(own) and event.total_norm is not None:  # unscaled since it was measured: what is left
        own = math.sqrt(max(event.total_norm**2 - norm**2, 0.0))
    return None if math.isnan(norm) else _Foreign(params, norm, own)


def _owner(parameter: int, ledger: Ledger) -> int:
    owners = ledger.cohorts.life(parameter).owners
    if len(owners) > 1:
        return _SEVERAL
    return next(iter(owners), _NOBODY)


def _by_hand(params: ParameterSet, ledger: Ledger) -> bool:
    """Whether the program updates some of them itself: a step that is not an optimizer's uses them."""
    return any(updated_by_hand(cohort.life) for cohort in ledger.cohorts.overlapping(params))


def _claim(clip: _Clip, step: OptimizerStep, foreign: _Foreign, ledger: Ledger) -> Claim:
    event, name = clip.event, ledger.optimizer_name(step.optimizer)
    call = quoted(event.site, event.function)
    limit, total = event.max_norm or 0.0, event.total_norm or 0.0
    meant = min(limit, foreign.own)
    applied = foreign.own * limit / total
    return Claim(
        step=event.step,
        message=(
            f"{sentence(call)} counts {PARAMETERS}, which {quoted(step.site, f'{name}.step()')} does not "
            f"train: their norm is {number(foreign.norm)}, and {number(foreign.own)} that of the gradients "
            f"it applies. Those were shrunk to {number(applied)}; by themselves they would have kept "
            f"{number(meant)}."
        ),
        fix=f"Give {call} the parameters that `{name}` owns, and no others.{_freeze(foreign, ledger)}",
        roles=roles(step=step.site, clip=event.site),
        parameters=foreign.params,
        evidence={
            "foreign_norm": foreign.norm,
            "own_norm": foreign.own,
            "total_norm": total,
            "limit": limit,
            "applied_norm": applied,
        },
        anchor=("clip",),
    )


def _freeze(foreign: _Foreign, ledger: Ledger) -> str:
    if any(_owner(p, ledger) != _NOBODY for p in foreign.params):
        return ""
    return " If nothing is to train the others, freeze them with `requires_grad_(False)`."
