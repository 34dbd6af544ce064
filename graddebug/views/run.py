"""The run as a whole: what it was, how far the recording goes, how its loss went."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from graddebug.records import RunInfo, StepRecord
from graddebug.views.figures import number, seconds, several
from graddebug.views.findings import tally
from graddebug.views.line import Line, Span, Tone, dim, line
from graddebug.views.printable import printable

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A recording in a few words; ``state`` says how its end came about.

    ``warning`` says what of the run is missing from the recording.
    """

    title: str
    made_with: str
    steps: str
    state: Span
    parameters: str
    optimizers: str
    findings: Line
    warning: str = ""


def run_summary(recording: Recording) -> RunSummary:
    """The masthead of a recording."""
    return RunSummary(
        title=run_title(recording.info),
        made_with=_made_with(recording.info),
        steps=_steps(recording),
        state=_state(recording),
        parameters=several(len(recording.parameters), "parameter"),
        optimizers=", ".join(printable(f"{o.type} {o.name}") for o in recording.optimizers),
        findings=tally(recording.findings) if _judged(recording) else (dim("nothing to judge"),),
        warning=printable(" ".join(filter(None, (recording.cut, recording.dropped)))),
    )


def run_title(info: RunInfo) -> str:
    """The run's own title, or the command that was run."""
    if info.title:
        return printable(info.title)
    if not info.argv:
        return "a run"
    return printable(" ".join((PurePath(info.argv[0]).name, *info.argv[1:])))


def step_words(record: StepRecord, last: int) -> Line:
    """``step 12 of 299  loss 2.31  14 ms  scale 65536``."""
    return line(
        Span(f"step {record.step}", Tone.STRONG),
        Span(f" of {last}", Tone.DIM),
        "" if record.loss is None else f"  loss {number(record.loss)}",
        Span(f"  {seconds(record.duration)}", Tone.DIM),
        "" if record.scale is None else f"  scale {number(record.scale)}",
    )


def losses(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Step numbers and losses: inf where the loss was NaN or inf, NaN where none was seen."""
    steps, values = recording.losses()
    return steps, np.where(np.isin(steps, recording.nonfinite_losses()), np.inf, values)


def mean_stretches(steps: np.ndarray, values: np.ndarray, *, points: int) -> tuple[np.ndarray, np.ndarray]:
    """First step and mean value of at most ``points`` equal stretches; NaN where nothing was seen."""
    if len(steps) <= points:
        return steps, values
    edges = np.linspace(0, len(steps), points + 1).astype(np.int64)
    stretches = [values[a:b] for a, b in pairwise(edges)]
    return steps[edges[:-1]], np.array([_mean(stretch) for stretch in stretches])


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _judged(recording: Recording) -> bool:
    return bool(len(recording) or recording.findings)


def _steps(recording: Recording) -> str:
    count = len(recording)
    if not count:
        return "no steps"
    if count == 1:
        return f"1 step ({recording.first_step})"
    return f"{several(count, 'step')} ({recording.first_step} to {recording.last_step})"


def _state(recording: Recording) -> Span:
    if recording.cut:
        return Span("cut short", Tone.WARNING)
    if recording.closed is None:
        return Span("open: still running, or killed", Tone.WARNING)
    return Span(printable(recording.closed), Tone.GOOD if recording.closed == "finished" else Tone.WARNING)


def _made_with(info: RunInfo) -> str:
    rank = f", rank {info.rank} of {info.world}" if info.world > 1 else ""
    return printable(
        f"{info.created}  torch {info.torch}, Python {info.python}, graddebug {info.graddebug}, "
        f"{info.device}{rank}"
    )
