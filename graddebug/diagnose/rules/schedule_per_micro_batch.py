"""GD610: a scheduler moves with each micro-batch, several times for one step."""

from __future__ import annotations

from dataclasses import dataclass

from graddebug.diagnose.evidence import SCHEDULER
from graddebug.diagnose.rule import Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import place, quoted, sentence, times
from graddebug.ledger import Consumed, Ledger, Line, line_of
from graddebug.records import OptimizerStep, RunEnd, SchedulerStep, Severity

#: A schedule that ends with the run counts micro-batches on purpose; by how much the two may differ.
_FITS = 0.05


@dataclass(slots=True)
class _Schedule:
    """One scheduler at one line: its moves with a backward before each, in the window in progress.

    ``windows`` in a row had as many moves as micro-batches; ``moves`` and ``backwards`` are those of the
    newest of them, ``step`` its step.
    """

    event: SchedulerStep
    moved: int = 0
    at: int = -1
    windows: int = 0
    moves: int = 0
    backwards: int = 0
    step: OptimizerStep | None = None


class SchedulePerMicroBatch(Rule):
    """The schedule is counted in steps, and an accumulation makes fewer of them than batches."""

    code = "GD610"
    slug = "schedule-per-micro-batch"
    title = "A scheduler moves with each micro-batch, not with each step"
    severity = Severity.WARNING
    needs = (SCHEDULER,)
    why = (
        "With accumulation over N micro-batches there is one step for N backwards. A scheduler that moves "
        "after each backward runs N times too fast: warm-up is over, and the rate has decayed, when a "
        "fraction of the steps has been taken."
    )
    fix = "Call `scheduler.step()` where `optimizer.step()` is called, right after it."
    example = (
        "loss.backward()\n"
        "if (i + 1) % 4 == 0:\n"
        "    optimizer.step(); optimizer.zero_grad()\n"
        "scheduler.step()                              # wrong: four times for each step\n"
        "\n"
        "if (i + 1) % 4 == 0:\n"
        "    optimizer.step(); optimizer.zero_grad()\n"
        "    scheduler.step()                          # right\n"
    )
    options = thresholds(
        windows="steps in a row between which the schedule moved more than once",
    )
    windows = 2

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._schedules: dict[tuple[int, str, Line | None], _Schedule] = {}

    def on_scheduler_step(self, event: SchedulerStep, ledger: Ledger) -> Claims:
        """Count a move if a backward has written since the one before it."""
        key = (event.optimizer, event.scheduler, line_of(event.site))
        schedule = self._schedules.setdefault(key, _Schedule(event))
        optimizer = ledger.optimizer(event.optimizer)
        touched = max((c.life.touched for c in ledger.cohorts.of(optimizer.owned)), default=-1)
        schedule.moved += touched > schedule.at
        schedule.event, schedule.at = event, ledger.tick
        over = event.planned is not None and event.done is not None and event.done > event.planned
        return [_claim(schedule, ledger)] if over and schedule.windows >= self.windows else None

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """A window is over: was there one move, or one for each backward that the step uses?"""
        claims = []
        for (optimizer, *_), schedule in self._schedules.items():
            if optimizer != fact.optimizer.index or fact.step.parent is not None:
                continue
            self._count(schedule, fact)
            planned = schedule.event.planned is not None
            if schedule.windows >= self.windows and not planned:
                claims.append(_claim(schedule, ledger))
        return claims

    def _count(self, schedule: _Schedule, fact: Consumed) -> None:
        moves, schedule.moved = schedule.moved, 0
        if fact.backwards < 2:
            schedule.windows = 0
        elif moves >= fact.backwards:
            schedule.windows += 1
            schedule.moves, schedule.backwards, schedule.step = moves, fact.backwards, fact.step
        elif fact.number or moves + 1 < fact.backwards:  # the first move may come after the first step
            schedule.windows = 0

    def on_run_end(self, event: RunEnd, ledger: Ledger) -> Claims:
        """A schedule that says how long it is: does it end with the run, counted in micro-batches?"""
        planned = [one for one in self._schedules.values() if one.event.planned is not None]
        raised = event.reason == "exception"
        return [_claim(one, ledger) for one in planned if self._slips(one, raised=raised)]

    def _slips(self, schedule: _Schedule, *, raised: bool) -> bool:
        """One that is used up, and raises at its next move, need not have lived through many windows."""
        if raised and schedule.windows and _is_over(schedule.event):
            return True
        return schedule.windows >= self.windows and (raised or not _fits(schedule.event))


def _is_over(event: SchedulerStep) -> bool:
    return event.done is not None and event.planned is not None and event.done >= event.planned


def _fits(event: SchedulerStep) -> bool:
    if event.done is None or event.planned is None:
        return False
    return abs(event.planned - event.done) <= max(1, _FITS * event.planned)


def _claim(schedule: _Schedule, ledger: Ledger) -> Claim:
    event, step = schedule.event, schedule.step
    assert step is not None
    name = ledger.optimizer_name(event.optimizer)
    move, stepped = quoted(event.site, f"{event.scheduler}.step()"), quoted(step.site, f"{name}.step()")
    return Claim(
        step=step.step,
        message=(
            f"{sentence(move)} moved {times(schedule.moves, 'time')} for one {stepped}, once for each of the "
            f"{schedule.backwards} micro-batches that step accumulates: the schedule runs "
            f"{schedule.backwards} times too fast."
        ),
        fix=(
            f"Move {move} to the step, under the same condition ({place(step.site)}); or, if its length is "
            "counted in micro-batches, count it in steps."
        ),
        roles=roles(schedule=event.site, step=step.site),
        evidence={"moves_per_step": schedule.moves, "backwards_per_step": schedule.backwards}
        | ({} if event.planned is None else {"planned": event.planned, "done": event.done}),
        anchor=("schedule",),
    )
