"""What `graddebug.report.show` says, as plain values: for programs that read a recording through us."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graddebug.records import STATISTICS, ParameterInfo, StepRecord
from graddebug.report.chosen import chosen_step
from graddebug.report.json import finding_json
from graddebug.views.graph import GraphRow, graph_tree
from graddebug.views.life import LifeRow, life
from graddebug.views.line import plain
from graddebug.views.parameters import parameter_table
from graddebug.views.run import run_title

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording

VERSION = 1


def show_json(recording: Recording, *, step: int | None, parameter: str | None) -> dict[str, Any]:
    """The recording as plain values: dicts, lists, words and numbers; None where nothing was measured.

    Always the run, its findings, and the parameters at the step in view (the last, unless ``step``
    names one). With ``step``, that step's life and graph too; with ``parameter`` (text or a glob), only
    the parameters that match, with their series. `UsageError` for a step that is not in the recording.
    """
    at = chosen_step(recording, step)
    chosen = parameter_table(recording, at).rows(matching=parameter or "").tolist()
    shown: dict[str, Any] = {
        "version": VERSION,
        "run": run_json(recording),
        "findings": [finding_json(finding) for finding in recording.findings],
        "step": None if at is None else _step(recording.step(at)),
        "parameters": _parameters(recording, at, chosen),
    }
    if step is not None and at is not None:
        shown["life"] = [
            _event(row, recording.parameters) for row in life(recording, at).rows if not row.heads
        ]
        shown["graph"] = _graph(recording, at)
    if parameter is not None:
        shown["series"] = {recording.parameters[i].name: _series(recording, i) for i in chosen}
    return shown | {"run": run_json(recording)}  # again: by now it says what turned out to be damaged


def run_json(recording: Recording) -> dict[str, object]:
    """Which run it was, and how far its recording goes."""
    info = recording.info
    return {
        "title": run_title(info),
        "argv": list(info.argv),
        "created": info.created,
        "torch": info.torch,
        "graddebug": info.graddebug,
        "device": info.device,
        "rank": info.rank,
        "world": info.world,
        "steps": len(recording),
        "first_step": recording.first_step,
        "last_step": recording.last_step,
        "closed": recording.closed,
        "cut": recording.cut,
        "optimizers": [{"name": o.name, "type": o.type} for o in recording.optimizers],
    }


def _step(record: StepRecord) -> dict[str, object]:
    return {
        "step": record.step,
        "time": record.time,
        "duration": record.duration,
        "loss": _number(record.loss),
        "scale": _number(record.scale),
        "graph": record.graph,
    }


def _parameters(recording: Recording, step: int | None, chosen: Sequence[int]) -> list[dict[str, object]]:
    table = parameter_table(recording, step)
    return [
        {
            "name": recording.parameters[index].name,
            "shape": list(recording.parameters[index].shape),
            "dtype": recording.parameters[index].dtype,
            "statistics": {name: _number(table.value(index, name)) for name in STATISTICS},
        }
        for index in chosen
    ]


def _event(row: LifeRow, parameters: Sequence[ParameterInfo]) -> dict[str, object]:
    known = (index for index in row.params if index < len(parameters))
    return {
        "order": row.order,
        "event": row.word,
        "words": plain(row.words),
        "file": row.site.file if row.site else None,
        "line": row.site.line if row.site else None,
        "noticed": row.noticed,
        "tail": row.tail,
        "parameters": [parameters[index].name for index in known],
        "findings": [finding.id for finding in row.findings],
    }


def _graph(recording: Recording, step: int) -> dict[str, object] | None:
    tree = graph_tree(recording, step)
    if tree is None:
        return None
    everything = {fold.name for _, fold in tree.root.walk()}
    rows = tree.rows(opened=everything, statistics=recording.statistics(step))
    return {
        "hash": tree.graph.hash,
        "backward": tree.source,
        "nodes": len(tree.graph.nodes),
        "saved_bytes": tree.graph.saved_bytes,
        "modules": [_module(row) for row in rows if row.is_module],
    }


def _module(row: GraphRow) -> dict[str, object]:
    return {"module": row.key, "nodes": row.nodes, "parameters": row.parameters, "saved": row.saved}


def _series(recording: Recording, index: int) -> dict[str, object]:
    taken = {name: recording.series(index, name) for name in STATISTICS}
    steps = next(iter(taken.values()))[0]
    values = {name: [_number(float(v)) for v in column] for name, (_, column) in taken.items()}
    return {"steps": np.asarray(steps).tolist(), **values}


def _number(value: float | None) -> float | str | None:
    """JSON has no inf: it becomes the word; NaN means that nothing was measured."""
    if value is None or math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)
