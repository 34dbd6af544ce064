"""GD603: a clip finds no gradient although there are some."""

from __future__ import annotations

from dataclasses import dataclass

from graddebug.diagnose.clips import Call, bounds, unclipped
from graddebug.diagnose.evidence import CLIPPING
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import quoted, sentence, times
from graddebug.ledger import Consumed, Ledger, Line, Portion, line_of
from graddebug.records import Clipped, Severity


@dataclass(slots=True)
class _Line:
    """A line that clips: whether it ever found a gradient, and how often in a row it has found none."""

    worked: bool = False
    empty: int = 0
    waiting: Call | None = None


class ClipNothing(Rule):
    """The call was given nothing, or things without ``.grad``; what it was meant for is applied as it is."""

    code = "GD603"
    slug = "clip-nothing"
    title = "A clip finds no gradient although there are some"
    severity = Severity.WARNING
    needs = (CLIPPING,)
    why = (
        "clip_grad_norm_ takes whatever it is given. A generator that an earlier step used up, a filter that "
        "matches nothing, the gradients in place of the parameters, the parameters of another model: the "
        "norm is 0, nothing is clipped, and training goes on without a limit."
    )
    fix = "Give it the parameters anew at each call, `model.parameters()`, or a list of them."
    example = (
        "params = model.parameters()                       # wrong: used up by the first call\n"
        "for x, y in loader:\n"
        "    ...\n"
        "    clip_grad_norm_(params, 1.0)\n"
        "\n"
        "    clip_grad_norm_(model.parameters(), 1.0)      # right\n"
    )
    options = thresholds(
        windows="calls that clipped nothing while there were gradients",
    )
    #: Calls in a row that got parameters of which none ever had a gradient.
    windows = 3

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._lines: dict[Line | None, _Line] = {}

    def on_clipped(self, event: Clipped, ledger: Ledger) -> Claims:
        """A call that got nothing to clip, while there is something."""
        line = self._lines.setdefault(line_of(event.site), _Line())
        line.waiting = None
        if event.params or _will_have_some(event, ledger) or not bounds(event):
            line.worked |= bool(event.params)
            line.empty = 0
            return None
        if any(cohort.life.fresh and cohort.life.owners for cohort in ledger.cohorts):
            line.empty += 1
            line.waiting = Call(event, ledger.tick, frozenset(event.without))
        return None

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """The step applies gradients that were there at the call, and that nothing else has clipped."""
        waiting = [line for line in self._lines.values() if line.waiting and line.waiting.at > fact.since]
        return [claim for line in waiting if (claim := self._judge(line, fact, ledger)) is not None]

    def _judge(self, line: _Line, fact: Consumed, ledger: Ledger) -> Claim | None:
        assert line.waiting is not None
        event, fresh = line.waiting.event, [portion for portion in fact.portions if portion.fresh]
        zero = frozenset(fact.step.zero)
        meant = [portion for portion in fresh if not zero.issuperset(portion.members)]
        there = any(part.first.order < event.order for portion in meant for part in portion.fresh)
        if not there or not all(map(unclipped, fresh)):
            return None
        if event.without and line.empty < self.windows:
            return None
        return _claim(line, event, fact, meant, ledger)


def _will_have_some(event: Clipped, ledger: Ledger) -> bool:
    """Whether it got parameters that are trained, have had a gradient, or are frozen on purpose."""
    cohorts = ledger.cohorts.overlapping(event.without)
    return any(c.life.owners or c.life.first_write >= 0 or not c.life.trainable for c in cohorts)


def _claim(line: _Line, event: Clipped, fact: Consumed, meant: list[Portion], ledger: Ledger) -> Claim:
    name = ledger.optimizer_name(fact.optimizer.index)
    clip, step = quoted(event.site, event.function), quoted(fact.step.site, f"{name}.step()")
    why, fix = _why(line, event)
    return Claim(
        step=fact.step.step,
        message=f"{sentence(clip)} clipped nothing: {why}. {sentence(step)} applied {PARAMETERS} unclipped.",
        fix=fix,
        roles=roles(step=fact.step.site, clip=event.site),
        parameters=tuple(sorted(p for portion in meant for p in portion.members)),
        evidence={"given": event.strangers + len(event.without), "with_gradient": 0},
        anchor=("clip",),
    )


def _why(line: _Line, event: Clipped) -> tuple[str, str]:
    parameters = "`model.parameters()` itself, or a list of it"
    if event.gradients:
        return (
            f"it was given {times(event.strangers, 'gradient')}, not the parameters that have them",
            f"Give it the parameters: {parameters}; it finds their `.grad` itself.",
        )
    if event.without:
        return (
            f"none of the {times(len(event.without), 'parameter')} it was given has ever had a gradient, and "
            "no optimizer owns one of them",
            "Give it the parameters of the model that is trained, not of one that it was copied to or from.",
        )
    if event.strangers:
        return (
            f"none of the {times(event.strangers, 'tensor')} it was given has a gradient, and none is a "
            "parameter of the model that is trained",
            f"Give it the parameters: {parameters}.",
        )
    if line.worked:
        return (
            "it was given nothing, though it was at first: an iterator is used up by the call that walks it",
            f"Give it {parameters}, at each call.",
        )
    return (
        "it was given nothing at all: an iterator that is used up, or a filter that matches nothing",
        f"Give it {parameters}, and look at what the selection matches.",
    )
