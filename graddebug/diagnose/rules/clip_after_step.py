"""GD601: gradients are clipped when the step has applied them already."""

from __future__ import annotations

from dataclasses import dataclass

from graddebug.diagnose.clips import Call, Cycle, acted, bounds, finds_new, known, limit, meant, unclipped
from graddebug.diagnose.evidence import CLIPPING
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import number, quoted, sentence
from graddebug.ledger import Consumed, Ledger, Line, line_of
from graddebug.records import (
    Backward,
    Clipped,
    Forward,
    GradientsCleared,
    OptimizerStep,
    RunEnd,
    Severity,
)


@dataclass(frozen=True, slots=True)
class _Applied:
    """What the newest step of an optimizer applied unclipped."""

    step: OptimizerStep
    params: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Late:
    """A clip of gradients that a step has used: for nothing, if they are cleared next."""

    call: Call
    step: OptimizerStep
    cleared: bool


class ClipAfterStep(Rule):
    """Nothing is left to clip: the step used the gradients as they were, and they are cleared next."""

    code = "GD601"
    slug = "clip-after-step"
    title = "Gradients are clipped after the step that applied them"
    severity = Severity.ERROR
    needs = (CLIPPING,)
    why = (
        "A clip changes `.grad`, and `.grad` is read by the step. Called after it, the clip shrinks what the "
        "next zero_grad() throws away: every step is as long as if there were no clip at all."
    )
    fix = "Call the clip between `loss.backward()` and `optimizer.step()`."
    example = (
        "loss.backward()\n"
        "optimizer.step()\n"
        "clip_grad_norm_(model.parameters(), 1.0)    # wrong: the step has been taken\n"
        "\n"
        "loss.backward()\n"
        "clip_grad_norm_(model.parameters(), 1.0)    # right\n"
        "optimizer.step()\n"
    )

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._cycle = Cycle()
        self._applied: dict[int, _Applied] = {}
        self._late: dict[Line | None, _Late] = {}

    def on_forward(self, event: Forward, ledger: Ledger) -> Claims:
        """Where in the cycle we are."""
        self._cycle.forward(event, ledger)
        return None

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Remember what a step applies unclipped; what a late clip shrank may serve another step."""
        params = frozenset(p for portion in fact.portions if unclipped(portion) for p in portion.members)
        self._applied[fact.optimizer.index] = _Applied(fact.step, params)
        self._serves(fact.step.ready)
        return None

    def on_backward(self, event: Backward, ledger: Ledger) -> Claims:
        """Kept from window to window, as momentum is: the clip bounds what is carried on."""
        if event.accumulates:
            self._serves(event.written)
        return None

    def _serves(self, params: tuple[int, ...]) -> None:
        if self._late:
            self._late = {k: one for k, one in self._late.items() if one.call.params.isdisjoint(params)}

    def on_clipped(self, event: Clipped, ledger: Ledger) -> Claims:
        """A clip that finds nothing that is new, after a step that used the gradients unclipped."""
        if not bounds(event) or finds_new(event, ledger) or self._cycle.is_early(event, ledger):
            return None
        wanted = frozenset(meant(event, ledger))
        used = [one for one in self._applied.values() if not wanted.isdisjoint(one.params)]
        if not used:
            return None
        params = wanted & frozenset().union(*(one.params for one in used))
        self._applied = {k: one for k, one in self._applied.items() if one not in used}
        held = (cohort.life.old for cohort in ledger.cohorts.overlapping(event.params))
        cleared = not any(held)  # to None, or to zeros
        step = max((one.step for one in used), key=_order)
        late = _Late(Call(event, ledger.tick, params), step, cleared)
        if cleared:
            return [_claim(late, ledger)]
        self._late[line_of(event.site)] = late
        return None

    def on_cleared(self, event: GradientsCleared, ledger: Ledger) -> Claims:
        """What the clip has shrunk is thrown away."""
        if not self._late:
            return None
        gone = [(k, one) for k, one in self._late.items() if not one.call.params.isdisjoint(event.params)]
        for key, _ in gone:
            del self._late[key]
        return [_claim(one, ledger) for _, one in gone]

    def on_run_end(self, event: RunEnd, ledger: Ledger) -> Claims:
        """Nothing uses it any more."""
        return [_claim(one, ledger) for one in self._late.values()]


def _order(step: OptimizerStep) -> int:
    return step.order


def _claim(late: _Late, ledger: Ledger) -> Claim:
    event, step = late.call.event, late.step
    name = ledger.optimizer_name(step.optimizer)
    clip, stepped = quoted(event.site, event.function), quoted(step.site, f"{name}.step()")
    unharmed = not late.cleared and event.max_norm is not None and not acted(event)
    return Claim(
        step=event.step,
        message=(
            f"{sentence(clip)} ran after {stepped} had applied the gradients of {PARAMETERS}. {_did(late)}"
        ),
        fix=f"Move {clip} in front of {stepped}, after the backward.",
        roles=roles(step=step.site, clip=event.site),
        parameters=tuple(sorted(late.call.params)),
        evidence=known(
            limit=event.clip_value if event.max_norm is None else event.max_norm,
            total_norm=event.total_norm,
        ),
        severity=Severity.WARNING if unharmed else None,
        anchor=("clip",),
    )


def _did(late: _Late) -> str:
    event = late.call.event
    if late.cleared:
        return f"It found none left: what was applied was never clipped to {limit(event)}."
    if event.max_norm is None or event.total_norm is None:
        return f"What was applied was not clipped to {limit(event)}, and what it clipped is cleared unused."
    norm = number(event.total_norm)
    if acted(event):
        return f"It cut their norm from {norm} to {number(event.max_norm)}, but the step had used {norm}."
    return f"Their norm was {norm}, below its limit of {number(event.max_norm)}: no harm yet."
