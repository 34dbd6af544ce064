"""Mixed precision in a run: the loss scalers, the headroom of each module, the dtype of each op."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graddebug.errors import TraceError
from graddebug.records import Backward, Event, Forward, HalfMeasured
from graddebug.views.census import Census, census, census_lines
from graddebug.views.figures import several
from graddebug.views.half import HalfStory, half_lines
from graddebug.views.headroom import Headroom, headroom
from graddebug.views.line import Line, Span, Tone, dim, line
from graddebug.views.printable import printable
from graddebug.views.scaling import ScalersSeen, ScalerStory, scale_alone, scaler_lines

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording

NO_SCALER = "no loss scaler was used"


@dataclass(frozen=True, slots=True)
class Precision:
    """What the whole run tells of precision.

    ``autocast`` counts outermost forwards by the dtype of their autocast region, empty for none.
    """

    scalers: tuple[ScalerStory, ...]
    autocast: tuple[tuple[str, int], ...]
    half: tuple[HalfStory, ...]
    headroom: Headroom


def precision(recording: Recording) -> Precision:
    """Read a run: all its events once, and all its tables of nodes and modules."""
    scalers, forwards, half = _fold(recording.events())
    skipped = frozenset(step for story in scalers for step in story.skipped_steps)
    found = headroom(recording, skipped=skipped)
    return Precision(scalers or scale_alone(recording), forwards, half, found)


def _fold(
    events: Iterable[Event],
) -> tuple[tuple[ScalerStory, ...], tuple[tuple[str, int], ...], tuple[HalfStory, ...]]:
    scalers, forwards = ScalersSeen(), Counter[str]()
    half: dict[tuple[str, str], HalfStory] = {}
    for event in events:
        scalers.feed(event)
        if isinstance(event, Forward) and event.built_graph:
            forwards[printable(event.autocast or "")] += 1
        elif isinstance(event, HalfMeasured):
            key = (event.what, event.dtype)
            half[key] = half[key].with_next(event) if key in half else HalfStory.of(event)
    return scalers.stories(), tuple(forwards.most_common()), tuple(half.values())


def census_at(recording: Recording, step: int) -> Census | None:
    """The ops of the graph that ``step`` ran last, None where none was captured or it cannot be read."""
    digest = recording.step(step).graph
    if digest is None:
        ran = (e.graph for e in recording.events(step, step) if isinstance(e, Backward) and e.graph)
        digest = next(reversed([*ran]), None)
    try:
        return None if digest is None else census(recording.graph(digest))
    except (KeyError, TraceError):
        return None


# --- in words -------------------------------------------------------------------------------


def headline(told: Precision, ops: Census | None) -> Line:
    """The run in a sentence: the dtype of autocast, the dtypes that ops ran in, whether a loss was scaled."""
    parts = [*_autocast(told.autocast), _ops(ops)]
    if not told.scalers:
        parts.append(NO_SCALER)
    return line(Span("; ".join(filter(None, parts))))


def _autocast(forwards: Sequence[tuple[str, int]]) -> list[str]:
    total = sum(count for _, count in forwards)
    used = [(dtype, count) for dtype, count in forwards if dtype]
    if not total:
        return []
    if not used:
        return ["no autocast"]
    return [f"autocast to {dtype} in {_of(count, total)}" for dtype, count in used]


def _of(count: int, total: int) -> str:
    return "every forward" if count == total else f"{count:,} of {several(total, 'forward')}"


def _ops(ops: Census | None) -> str:
    if ops is None or not ops.count:
        return ""
    if len(ops.dtypes) == 1 and not ops.casts:
        return f"all ops ran in {ops.dtypes[0][0]}"
    return "ops ran in " + ", ".join(f"{dtype} ({count:,})" for dtype, count in ops.dtypes)


def scale_lines(told: Precision, *, width: int, cursor: int | None = None) -> Iterator[Line]:
    """Each loss scaler's state and course."""
    for story in told.scalers:
        yield from scaler_lines(story, width=width, cursor=cursor)


def measured_words(found: Headroom) -> Line:
    """Of how many steps the headroom is known, or why there is none."""
    lost = f"; {several(found.unreadable, 'table')} cannot be read" if found.unreadable else ""
    if not found.rows:
        measured = found.module_steps or found.node_steps
        why = "no number of a measured step was in half precision" if measured else "no step was measured"
        return line(dim(why), Span(lost, Tone.WARNING))
    steps = f"outputs of {several(found.module_steps, 'step')}, gradients of {found.node_steps:,}"
    skipped = f" ({several(found.left_out, 'skipped step')} left out)" if found.left_out else ""
    return line(dim(f"least bits below the type's maximum; {steps}{skipped}"), Span(lost, Tone.WARNING))


def end_lines(told: Precision, ops: Census | None) -> Iterator[Line]:
    """How near to the ends of half precision the numbers came, and the ops by dtype."""
    for story in told.half:
        yield from half_lines(story)
    if ops is not None:
        yield from census_lines(ops)
