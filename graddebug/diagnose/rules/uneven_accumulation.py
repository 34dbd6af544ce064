"""GD110: now and then a step uses another number of backwards than all others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import Claim, Claims, Rule, roles
from graddebug.diagnose.wording import place, times
from graddebug.ledger import Consumed, Ledger, newest_of
from graddebug.records import OptimizerStep, RunEnd, Severity, Site

_RUNS = 2048  # a program whose windows keep changing is not uneven, it is varied: stop counting


@dataclass(slots=True)
class _Windows:
    """Numbers of backwards of an optimizer's windows, as runs of (number, how many windows in a row)."""

    runs: list[tuple[int, int]] = field(default_factory=list)
    last: OptimizerStep | None = None

    def add(self, count: int) -> None:
        if self.runs and self.runs[-1][0] == count:
            self.runs[-1] = (count, self.runs[-1][1] + 1)
        elif len(self.runs) < _RUNS:
            self.runs.append((count, 1))


class UnevenAccumulation(Rule):
    """At a regular period a window is longer or shorter: an index that starts anew, a tail carried over."""

    code = "GD110"
    slug = "uneven-accumulation"
    title = "The number of backwards per step has regular outliers"
    severity = Severity.NOTE
    needs = (STEPS,)
    why = (
        "When the loop that counts micro-batches starts anew each epoch, the batches left over from one "
        "epoch join the first window of the next: that step uses more, or fewer, backwards than all "
        "others, and weighs differently."
    )
    fix = "Count micro-batches over the whole run, or step and clear at the end of each epoch."
    example = (
        "for epoch in range(3):\n"
        "    for i, (x, y) in enumerate(loader):            # 10 batches\n"
        "        loss_fn(model(x), y).backward()\n"
        "        if (i + 1) % 4 == 0:                       # wrong: 2 batches join the next epoch's "
        "first window\n"
        "            optimizer.step(); optimizer.zero_grad()\n"
        "\n"
        "        if (epoch * len(loader) + i + 1) % 4 == 0:      # right: counted over the run\n"
        "            optimizer.step(); optimizer.zero_grad()\n"
    )

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._windows: dict[int, _Windows] = {}

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Count the backwards that the step uses."""
        count = _accumulated(fact)
        if count and fact.step.parent is None:
            windows = self._windows.get(fact.optimizer.index)
            if windows is None:
                windows = self._windows[fact.optimizer.index] = _Windows()
            windows.add(count)
            windows.last = fact.step
        return None

    def on_run_end(self, event: RunEnd, ledger: Ledger) -> Claims:
        """Judge the whole run: only then is it known what was usual."""
        claims = (_judge(index, windows, event, ledger) for index, windows in self._windows.items())
        return [claim for claim in claims if claim]


def _accumulated(fact: Consumed) -> int:
    """Backwards of the newest one's line and mode: what another loss or a leak adds is no accumulation."""
    return max((newest_of(portion.fresh).count for portion in fact.portions if portion.fresh), default=0)


def _judge(index: int, windows: _Windows, event: RunEnd, ledger: Ledger) -> Claim | None:
    outliers = _regular_outliers(windows.runs)
    if outliers is None:
        return None
    usual, other, period, number = outliers
    name = ledger.optimizer_name(index)
    site = windows.last.site if windows.last else None
    return Claim(
        step=event.step,
        message=(
            f"`{name}.step()` ({place(site)}) uses {times(usual, 'backward')} each time, but {other} every "
            f"{period} steps ({number} times in this run)."
        ),
        fix=_shorter(usual, other) if other < usual else _longer(site),
        roles=roles(step=site),
        evidence={"usual": usual, "outlier": other, "period": period, "outliers": number},
        topic=name,
    )


def _longer(site: Site | None) -> str:
    return (
        "If that is not on purpose, count micro-batches over the whole run, or step and clear at the end "
        f"of each epoch ({place(site)})."
    )


def _shorter(usual: int, other: int) -> str:
    return (
        f"If the shorter window is an epoch's rest, divide its losses by its own {other}, not by {usual}, "
        "so that it weighs like the others."
    )


def _regular_outliers(runs: list[tuple[int, int]]) -> tuple[int, int, int, int] | None:
    """(usual count, outlier, period in windows, number of outliers), leaving out the first window."""
    if len(runs) < 3 or len(runs) >= _RUNS:
        return None
    first, rest = runs[0], runs[1:]
    runs = rest if first[1] == 1 else [(first[0], first[1] - 1), *rest]
    totals: Counter[int] = Counter()
    for count, length in runs:
        totals[count] += length
    if len(totals) != 2:
        return None
    everywhere = totals + Counter({first[0]: 1} if first[0] in totals else {})
    usual, other = sorted(totals, key=lambda count: (everywhere[count], count), reverse=True)
    number = totals[other]
    places: list[int] = []
    at = 0
    for count, length in runs:
        if count == other:
            places += range(at, at + length)
        at += length
    periods = {b - a for a, b in pairwise(places)}
    regular = number >= 2 and len(periods) == 1 and min(periods) >= 2
    return (usual, other, periods.pop(), number) if regular else None
