"""The top of every screen: which run, how it ended, where the step cursor stands, how the loss went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from textual.content import Content
from textual.widget import Widget

from graddebug.records import StepRecord
from graddebug.views.line import Line, Span, Tone, dim, plain, strong
from graddebug.views.parameters import marked_sparkline
from graddebug.views.printable import cells, fit
from graddebug.views.run import RunSummary, mean_stretches, step_words
from graddebug.views.sparkline import LOG, axis
from graddebug.views.steps import StepCursor
from graddebug_tui.tones import content


@dataclass(frozen=True)
class Standing:
    """What the masthead says."""

    summary: RunSummary
    cursor: StepCursor
    record: StepRecord | None
    losses: tuple[np.ndarray, np.ndarray]


class Masthead(Widget):
    """Two lines, and a third where the recording's end is damaged."""

    def __init__(self) -> None:
        super().__init__()
        self._standing: Standing | None = None

    def show(self, standing: Standing) -> None:
        """Say something else."""
        self._standing = standing
        self.set_class(bool(standing.summary.warning), "-warned")
        self.refresh()

    def render(self) -> Content:
        """The lines, each as wide as the widget."""
        if self._standing is None:
            return Content("")
        width = self.content_size.width
        lines = [_run_line(self._standing.summary, width), _step_line(self._standing, width)]
        if self._standing.summary.warning:
            lines.append((Span(fit("▲ " + self._standing.summary.warning, width), Tone.WARNING),))
        return Content("\n").join([content(spans) for spans in lines])


def _run_line(summary: RunSummary, width: int) -> Line:
    right = summary.findings
    name: Line = (Span("∇ ", Tone.ACCENT), strong("graddebug  "))
    room = width - cells(plain(name)) - cells(plain(right)) - 2
    about = _about(summary, room - min(12, cells(summary.title)))
    about_width = cells(plain(about))
    title = fit(summary.title, max(0, room - about_width))
    blank = " " * max(1, room + 2 - about_width - cells(title))
    return (*name, Span(title), *about, Span(blank), *right)


def _about(summary: RunSummary, width: int) -> Line:
    """Steps and state, or the state alone, or nothing: what fits."""
    choices: list[Line] = [(dim(f"  {summary.steps}  "), summary.state), (dim("  "), summary.state)]
    return next((words for words in choices if cells(plain(words)) <= width), ())


def _step_line(standing: Standing, width: int) -> Line:
    if standing.record is None:
        return (dim("no steps"),)
    words = step_words(standing.record, standing.cursor.steps[-1])
    room = width - cells(plain(words)) - 9 - len(LOG)
    if room < 10:
        return words
    steps, losses = mean_stretches(*standing.losses, points=min(room, 80))
    if np.isnan(losses).all():
        return words
    course = marked_sparkline(steps, losses, cursor=standing.cursor.step)
    return (*words, dim("   loss "), *course, dim(axis(losses)))
