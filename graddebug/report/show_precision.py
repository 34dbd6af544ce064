"""`graddebug show RUN precision`: the text twin of the terminal UI's precision screen, and its JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from graddebug.records import HalfMeasured
from graddebug.report.chosen import chosen_step
from graddebug.report.layout import INDENT, heading, text_table, wrapped
from graddebug.report.show import head_lines
from graddebug.report.show_data import VERSION, run_json
from graddebug.views.census import Census
from graddebug.views.headroom import HEADROOM_COLUMNS, Extreme, Headroom, HeadroomRow, headroom_cells
from graddebug.views.line import Line
from graddebug.views.precision import Precision, census_at, end_lines, headline, measured_words, precision
from graddebug.views.precision import scale_lines as scales
from graddebug.views.scaling import ScalerStory

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording

#: Rows of the table before the rest is counted instead of shown.
MOST_MODULES = 40


def render_precision(recording: Recording, *, step: int | None, width: int) -> str:
    """Scale, headroom and dtypes of a run as text of at most ``width`` columns.

    The dtypes of ops are those of ``step``, the last one for None. `UsageError` for a step that is not
    in the recording.
    """
    width = max(40, width)
    body = list(_body(recording, chosen_step(recording, step), width))
    return "\n".join(line.rstrip() for line in (*head_lines(recording, width), *body))


def _body(recording: Recording, step: int | None, width: int) -> Iterator[str]:
    told, ops = precision(recording), None if step is None else census_at(recording, step)
    yield from heading("Precision")
    yield from wrapped(headline(told, ops), width)
    for line in scales(told, width=width - len(INDENT), cursor=step):
        yield from wrapped(line, width)
    yield from _headroom(told.headroom, width)
    ends = list(end_lines(told, ops))
    if ends:
        yield from heading("Numbers and ops" if step is None else f"Numbers, and ops of step {step}")
    for line in ends:
        yield from wrapped(line, width)


def _headroom(found: Headroom, width: int) -> Iterator[str]:
    yield from heading("Headroom by module, worst first")
    yield from wrapped(measured_words(found), width)
    if not found.rows:
        return

    def paint(place: int, widths: dict[str, int]) -> Sequence[Line]:
        row = found.rows[place]
        return headroom_cells(row, name_width=widths["module"], trend_width=widths.get("trend", 0))

    yield from text_table(HEADROOM_COLUMNS, min(len(found.rows), MOST_MODULES), paint, width)
    if len(found.rows) > MOST_MODULES:
        yield f"{INDENT}and {len(found.rows) - MOST_MODULES:,} more"


# --- as plain values ------------------------------------------------------------------------


def precision_json(recording: Recording, *, step: int | None) -> dict[str, Any]:
    """The same as plain values; None where nothing was measured, inf and NaN as words."""
    at = chosen_step(recording, step)
    told = precision(recording)
    ops = None if at is None else census_at(recording, at)
    return {
        "version": VERSION,
        "run": run_json(recording),
        "step": at,
        "autocast": {dtype or "none": count for dtype, count in told.autocast},
        "scalers": [_scaler(story) for story in told.scalers],
        "headroom": _headroom_json(told),
        "half": [_half(event) for story in told.half for event in (story.largest, story.last)],
        "ops": None if ops is None else _census(ops),
    }


def _scaler(story: ScalerStory) -> dict[str, object]:
    return {
        "name": story.name,
        "enabled": story.enabled,
        "scale": _number(story.now),
        "steps": story.steps.tolist(),
        "scales": [_number(scale) for scale in story.scales.tolist()],
        "skipped": None if story.skipped is None else story.skipped_steps,
        "skips": None if story.skipped is None else story.skips,
        "longest": story.longest,
        "given": story.given,
    }


def _headroom_json(told: Precision) -> dict[str, object]:
    found = told.headroom
    return {
        "module_steps": found.module_steps,
        "node_steps": found.node_steps,
        "unreadable": found.unreadable,
        "left_out": found.left_out,
        "modules": [_row(row) for row in found.rows],
    }


def _row(row: HeadroomRow) -> dict[str, object]:
    worst = {
        "outputs": row.outputs,
        "gradients": row.gradients,
        "zeros": row.zeros,
        "subnormal": row.subnormal,
    }
    return {
        "module": row.module,
        "dtype": row.dtype,
        "nonfinite_step": row.bad,
        "op": row.op or None,
        **{name: _extreme(value) for name, value in worst.items()},
    }


def _extreme(worst: Extreme) -> dict[str, object] | None:
    return None if worst.step < 0 else {"value": _number(worst.value), "step": worst.step}


def _half(event: HalfMeasured) -> dict[str, object]:
    names = ("what", "dtype", "step", "op", "module", "elements", "lowest_exponent")
    numbers = ("absmax", "zero_share", "subnormal_share", "flushed_share", "scale")
    return {
        **{name: getattr(event, name) for name in names},
        **{name: _number(getattr(event, name)) for name in numbers},
        "exponents": list(event.exponents),
    }


def _census(ops: Census) -> dict[str, object]:
    return {
        "dtypes": dict(ops.dtypes),
        "ops": {op: dict(counts) for op, counts in ops.ops},
        "casts": [{"from": start, "to": end, "count": count} for start, end, count in ops.casts],
    }


def _number(value: float | None) -> float | str | None:
    if value is None or math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)
