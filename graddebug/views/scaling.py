"""Loss scalers over a run: how their scale went, and which steps they skipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from graddebug.records import Event, ScalerSeen, ScalerStep, ScalerUpdate
from graddebug.views.figures import TIMES, number, several, share
from graddebug.views.line import Line, Span, Tone, dim, line, strong
from graddebug.views.parameters import marked_sparkline
from graddebug.views.printable import printable
from graddebug.views.run import mean_stretches
from graddebug.views.sparkline import axis

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording

#: From this share of skipped steps on, skips are no longer a scaler's ordinary search for its scale.
_MANY = 0.05
#: Columns for the last of the skipped steps, beside their marks.
_LIST_WIDTH = 28


@dataclass(frozen=True, kw_only=True, eq=False)
class ScalerStory:
    """One loss scaler over the run.

    ``steps`` and ``scales`` are those of each ``scaler.step()``, ``skipped`` says which of them left the
    weights alone (None: not known, the scale alone was recorded). ``now`` is the scale after the last
    update, ``longest`` the longest row of skips of one optimizer, ``given`` how often the program set
    the scale itself.
    """

    name: str
    enabled: bool
    steps: np.ndarray
    scales: np.ndarray
    skipped: np.ndarray | None
    now: float
    longest: int = 0
    given: int = 0

    @property
    def skips(self) -> int:
        """How many calls of ``scaler.step()`` were skipped."""
        return 0 if self.skipped is None else int(self.skipped.sum())

    @property
    def skipped_steps(self) -> list[int]:
        """Steps in which one was skipped, in order."""
        return [] if self.skipped is None else np.unique(self.steps[self.skipped]).tolist()


@dataclass(slots=True)
class _Account:
    """What was told of a scaler so far."""

    name: str
    enabled: bool = True
    now: float = float("nan")
    given: int = 0
    longest: int = 0
    calls: list[tuple[int, float, bool]] = field(default_factory=list)
    rows: dict[int, int] = field(default_factory=dict)

    def stepped(self, event: ScalerStep) -> None:
        self.calls.append((event.step, event.scale, event.skipped))
        self.now = event.scale
        row = self.rows[event.optimizer] = self.rows.get(event.optimizer, 0) + 1 if event.skipped else 0
        self.longest = max(self.longest, row)

    def story(self) -> ScalerStory:
        steps, scales, skipped = zip(*self.calls, strict=True) if self.calls else ((), (), ())
        return ScalerStory(
            name=self.name,
            enabled=self.enabled,
            steps=np.array(steps, dtype=np.int64),
            scales=np.array(scales, dtype=np.float64),
            skipped=np.array(skipped, dtype=np.bool_),
            now=self.now,
            longest=self.longest,
            given=self.given,
        )


class ScalersSeen:
    """Folds events, in order, into the story of each scaler."""

    def __init__(self) -> None:
        self._accounts: dict[int, _Account] = {}

    def feed(self, event: Event) -> None:
        """Take the next event in."""
        match event:
            case ScalerSeen():
                account = self._of(event.scaler)
                account.name, account.enabled = printable(event.name) or account.name, event.enabled
                account.now = event.scale
            case ScalerStep():
                self._of(event.scaler).stepped(event)
            case ScalerUpdate():
                account = self._of(event.scaler)
                account.now, account.given = event.after, account.given + event.given

    def _of(self, scaler: int) -> _Account:
        return self._accounts.setdefault(scaler, _Account(f"scaler {scaler}"))

    def stories(self) -> tuple[ScalerStory, ...]:
        """One a scaler, by index."""
        return tuple(account.story() for _, account in sorted(self._accounts.items()))


def scale_alone(recording: Recording) -> tuple[ScalerStory, ...]:
    """The scale that the steps' records tell of, where no event speaks of a scaler; nothing if none does."""
    told = [(record.step, record.scale) for record in recording.steps if record.scale is not None]
    if not told:
        return ()
    steps, scales = zip(*told, strict=True)
    return (
        ScalerStory(
            name="loss scale",
            enabled=True,
            steps=np.array(steps, dtype=np.int64),
            scales=np.array(scales, dtype=np.float64),
            skipped=None,
            now=float(scales[-1]),
        ),
    )


# --- in words -------------------------------------------------------------------------------


def scaler_lines(story: ScalerStory, *, width: int, cursor: int | None = None) -> Iterator[Line]:
    """Its state in a sentence; then its scale over the run, with the skipped steps marked below."""
    yield _state(story)
    if not len(story.steps):
        return
    points = max(10, min(80, width - 38))
    steps, scales = mean_stretches(story.steps, story.scales, points=points)
    ends = f"  {number(float(story.scales[0]))} … {number(float(story.scales[-1]))}"
    yield line(dim("scale  "), *marked_sparkline(steps, scales, cursor=cursor), dim(axis(scales) + ends))
    if story.skips and story.skipped is not None:
        _, marks = mean_stretches(story.steps, story.skipped.astype(np.float64), points=points)
        drawn = "".join(TIMES if mark else " " for mark in marks)
        yield line(dim("skips  "), Span(drawn.rstrip(), Tone.WARNING), f"  {_listed(story.skipped_steps)}")


def _state(story: ScalerStory) -> Line:
    name = strong(story.name)
    if not story.enabled:
        return line(name, dim("  disabled: it scales nothing and skips nothing"))
    if not len(story.steps):
        return line(name, f"  scale {number(story.now)}", dim(", never stepped"))
    given = f"  scale set by the program {several(story.given, 'time')}" if story.given else ""
    return line(name, f"  scale {number(story.now)} now  ", _skips(story), dim(given))


def _skips(story: ScalerStory) -> Span:
    if story.skipped is None:
        return dim("(whether steps were skipped was not recorded)")
    calls = len(story.steps)
    if not story.skips:
        return Span(f"no step of {calls:,} skipped", Tone.GOOD)
    rate = story.skips / calls
    text = f"{story.skips:,} of {several(calls, 'step')} skipped ({share(rate)})"
    row = f", at most {story.longest} in a row" if story.longest > 1 else ""
    last = f", last in step {story.skipped_steps[-1]}"
    return Span(text + row + last, Tone.WARNING if rate >= _MANY else Tone.PLAIN)


def _listed(steps: Sequence[int]) -> str:
    """``steps 39, 79``, or as many of the last as fit: ``last 51, 79, 113``."""
    if len(words := f"{'steps' if len(steps) > 1 else 'step'} {', '.join(map(str, steps))}") <= _LIST_WIDTH:
        return words
    words = str(steps[-1])
    for step in reversed(steps[:-1]):
        if len(longer := f"{step}, {words}") > _LIST_WIDTH - len("last "):
            break
        words = longer
    return f"last {words}"
