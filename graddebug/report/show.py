"""The text twin of the terminal UI: the same views, for pipes, logs and eyes without a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from graddebug.records import Finding
from graddebug.report.chosen import chosen_step
from graddebug.report.layout import INDENT, heading, text_table, wrapped
from graddebug.report.show_data import show_json
from graddebug.views.empty import empty_lines
from graddebug.views.figures import measured
from graddebug.views.finding_words import finding_lines
from graddebug.views.findings import NO_FINDINGS, finding_detail, finding_rows
from graddebug.views.graph import GRAPH_COLUMNS, NO_GRAPH, graph_cells, graph_tree
from graddebug.views.life import LIFE_COLUMNS, Life, life, life_cells
from graddebug.views.line import Line, plain
from graddebug.views.parameters import (
    FIGURES,
    ParameterTable,
    course,
    parameter_cells,
    parameter_columns,
    parameter_table,
    trend,
)
from graddebug.views.printable import fit, printable
from graddebug.views.run import losses, mean_stretches, run_summary, step_words
from graddebug.views.sparkline import axis, sparkline
from graddebug.views.unseen import unseen, unseen_lines

__all__ = ["render_show", "show_json"]

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording

#: Rows of a table before the rest is counted instead of shown.
MOST_PARAMETERS = 40
#: Parameters whose series are drawn.
MOST_SERIES = 12


def render_show(recording: Recording, *, step: int | None, parameter: str | None, width: int) -> str:
    """The recording as text of at most ``width`` columns.

    Without ``step`` and ``parameter``, the whole run: findings and the parameters at its last step.
    With ``step``, that step's life, parameters and graph. With ``parameter``, text or a glob, the
    series of those that match and the events that touched them. `UsageError` for a step that is not
    in the recording.
    """
    sections = _sections(recording, step=step, parameter=parameter, width=max(40, width))
    return "\n".join(line.rstrip() for line in sections)


def _sections(recording: Recording, *, step: int | None, parameter: str | None, width: int) -> Iterator[str]:
    body = list(_body(recording, step=step, parameter=parameter, width=width))
    yield from head_lines(recording, width)  # made last: it says what turned out to be damaged
    yield from body


def _body(recording: Recording, *, step: int | None, parameter: str | None, width: int) -> Iterator[str]:
    at = chosen_step(recording, step)
    if parameter is not None:
        yield from _parameter_sections(recording, parameter, at, width)
    elif step is not None and at is not None:
        yield from _step_sections(recording, at, width)
    else:
        yield from _findings(recording, width)
        yield from _parameters(recording, at, width)


def head_lines(recording: Recording, width: int) -> Iterator[str]:
    """Which run it was, how far its recording goes, and how its loss went."""
    summary = run_summary(recording)
    yield fit(f"graddebug  {summary.title}", width)
    about = [summary.steps, summary.state.text, summary.parameters]
    yield fit(", ".join([*about, summary.optimizers] if summary.optimizers else about), width)
    yield fit(summary.made_with, width)
    if summary.warning:
        yield from textwrap.wrap(f"▲ {summary.warning}", width)
    yield from _loss(recording, width)


def _loss(recording: Recording, width: int) -> Iterator[str]:
    _, means = mean_stretches(*losses(recording), points=min(60, width - 40))
    known = means[~np.isnan(means)]
    if known.size:
        yield f"loss {_loss_word(known[0])} {sparkline(means)} {_loss_word(known[-1])}{axis(means)}"


def _loss_word(loss: float) -> str:
    return measured(float(loss)) if np.isfinite(loss) else "nan or inf"


def _findings(recording: Recording, width: int) -> Iterator[str]:
    yield from heading(f"Findings: {plain(run_summary(recording).findings)}")
    if not recording.findings:
        yield from _nothing_found(recording, width)
    by_id = {finding.id: finding for finding in recording.findings}
    for place, row in enumerate(finding_rows(recording.findings)):
        if place:
            yield ""
        yield from _finding(recording, by_id[row.id], width)
    for line in unseen_lines(unseen(recording.events())):
        yield from wrapped(line, width)


def _nothing_found(recording: Recording, width: int) -> Iterator[str]:
    if len(recording):
        yield INDENT + NO_FINDINGS
        return
    for line in empty_lines(recording):
        yield from wrapped(line, width)


def _finding(recording: Recording, finding: Finding, width: int) -> Iterator[str]:
    for line in finding_lines(finding_detail(finding, beneath=recording.info.cwd)):
        yield from wrapped(line, width)


def _parameters(recording: Recording, step: int | None, width: int) -> Iterator[str]:
    where = "" if step is None else f" at step {step}"
    table = parameter_table(recording, step)
    yield from heading(f"Parameters{where}")
    if not table.parameters:
        yield INDENT + "none"
        return
    yield from _parameter_table(recording, table, range(len(table.parameters)), width)


def _parameter_table(
    recording: Recording, table: ParameterTable, chosen: Sequence[int], width: int
) -> Iterator[str]:
    def paint(place: int, widths: dict[str, int]) -> Sequence[Line]:
        index = int(chosen[place])
        room = widths.get("trend", 0)
        drawn = trend(recording, index, "grad_norm", width=room) if room and len(recording) else ()
        return parameter_cells(table.row(index), drawn, name_width=widths["name"])

    shown = min(len(chosen), MOST_PARAMETERS)
    yield from text_table(parameter_columns("", descending=True), shown, paint, width)
    if shown < len(chosen):
        yield INDENT + f"and {len(chosen) - shown:,} more: name some with --parameter GLOB"


def _step_sections(recording: Recording, step: int, width: int) -> Iterator[str]:
    yield from heading(plain(step_words(recording.step(step), recording.last_step or 0)))
    told = life(recording, step)
    yield from _life(told, width)
    yield from _found_here(recording, told, width)
    yield from _parameters(recording, step, width)
    yield from _graph(recording, step, width)


def _life(told: Life, width: int) -> Iterator[str]:
    if not told.rows:
        yield INDENT + "nothing was recorded in this step"
        return
    yield from text_table(LIFE_COLUMNS, len(told.rows), lambda row, _: life_cells(told.rows[row]), width)


def _found_here(recording: Recording, told: Life, width: int) -> Iterator[str]:
    ids = dict.fromkeys(f.id for row in told.rows for f in row.findings)
    ids.update(dict.fromkeys(f.id for f in told.unplaced))
    for finding in recording.findings:
        if finding.id in ids:
            yield ""
            yield from _finding(recording, finding, width)


def _graph(recording: Recording, step: int, width: int) -> Iterator[str]:
    tree = graph_tree(recording, step)
    yield from heading("Backward graph by module")
    if tree is None:
        yield INDENT + NO_GRAPH
        return
    if tree.source:
        yield fit(f"{INDENT}{tree.source}", width)
    opened = {fold.name for depth, fold in tree.root.walk() if depth < 2} | tree.first_open()
    rows = [r for r in tree.rows(opened=opened, statistics=recording.statistics(step)) if r.is_module]
    yield from text_table(GRAPH_COLUMNS, len(rows), lambda row, _: graph_cells(rows[row]), width)


def _parameter_sections(recording: Recording, pattern: str, step: int | None, width: int) -> Iterator[str]:
    table = parameter_table(recording, step)
    chosen = [int(index) for index in table.rows(matching=pattern)]
    if not chosen:
        yield from heading(f"No parameter matches {printable(pattern)!r}")
        return
    yield from heading(f"{len(chosen)} of {len(table.parameters)} parameters match {printable(pattern)!r}")
    yield from _parameter_table(recording, table, chosen, width)
    for index in chosen[:MOST_SERIES] if len(recording) else ():
        yield from heading(table.row(index).name)
        yield from _series(recording, index, width)
    if step is not None:
        yield from _touching(recording, frozenset(chosen), step, width)


def _series(recording: Recording, index: int, width: int) -> Iterator[str]:
    for figure in FIGURES:
        points = max(10, min(80, width - 48))
        _, low, _ = recording.overview(index, figure.statistic, points)
        _, high = course(recording, index, figure.statistic, points=points)
        low, seen = low[np.isfinite(low)], high[np.isfinite(high)]
        if seen.size:
            ends = dict.fromkeys((figure.write(float(low.min())), figure.write(float(seen.max()))))
            yield f"{INDENT}{figure.title:<10} {sparkline(high)}{axis(high)}  {' … '.join(ends)}"


def _touching(recording: Recording, chosen: frozenset[int], step: int, width: int) -> Iterator[str]:
    yield from heading(f"Their life in step {step}")
    rows = tuple(row for row in life(recording, step).rows if chosen & set(row.params))
    yield from _life(Life(step=step, rows=rows), width)
