"""Recordings of every format version there was: they are kept for ever, never written anew.

``events.json`` holds what the last events of ``closed`` must be, field by field.
"""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from graddebug.records import EVENTS, STATISTICS, Severity
from graddebug.trace import Recording
from graddebug.trace.format import VERSION

GOLDEN = Path(__file__).parent / "golden"
V1 = GOLDEN / "v1"
#: Columns there were when these were written; those added since read as NaN.
V1_COLUMNS = 9


def table_of(step: int, parameters: int = 2) -> list[list[float]]:
    return [
        [step * 1000 + parameter * V1_COLUMNS + column for column in range(V1_COLUMNS)]
        for parameter in range(parameters)
    ]


def test_every_version_has_a_golden_recording() -> None:
    """Whoever raises the version adds a recording of it."""
    assert sorted(path.name for path in GOLDEN.iterdir()) == [f"v{n}" for n in range(1, VERSION + 1)]


def test_v1_tables() -> None:
    """Who ran, what the model was, what was found, how it ended."""
    recording = Recording.open(V1 / "closed")
    (finding,) = recording.findings
    assert (recording.info.torch, recording.info.argv) == ("2.13.0", ("train.py",))
    assert [(p.name, p.shape) for p in recording.parameters] == [(f"p{n}", (2, 2)) for n in range(3)]
    assert [(o.name, o.type) for o in recording.optimizers] == [("optimizer", "SGD")]
    assert (finding.rule, finding.severity, finding.count) == ("GD101", Severity.ERROR, 5)
    assert finding.evidence == {"ratio": 2.5, "norm": math.inf, "steps": [1, 2]}
    assert finding.roles[0].site.source == "loss.backward()"
    assert (recording.closed, recording.cut, recording.dropped) == ("exception", None, None)


def test_v1_graph() -> None:
    """A graph with an edge and a saved tensor."""
    first, second = Recording.open(V1 / "closed").graph("00ff").nodes
    assert (first.op, first.next) == ("MseLossBackward0", ((1, 0),))
    assert (second.module, second.saved[0].shape, second.saved_bytes) == ("fc", (4, 2), 32)


def test_v1_steps() -> None:
    """Steps with and without loss scale and graph, and a loss that is NaN."""
    recording = Recording.open(V1 / "closed")
    assert [step.loss for step in recording.steps[:3]] == [1.0, 0.5, 1 / 3]
    assert (recording.step(19).graph, recording.step(19).scale) == ("00ff", None)
    last = recording.step(20)
    assert (last.graph, last.scale, last.time, last.duration) == (None, 65536.0, 2e9, 0.25)
    assert last.loss is not None
    assert math.isnan(last.loss)


def test_v1_events() -> None:
    """Every kind of event, and the tail after the last step."""
    expected = json.loads((V1 / "events.json").read_text())
    events = list(Recording.open(V1 / "closed").events(first=19))
    assert len(events) == len(expected)
    assert {event.kind for event in events} >= {plain["kind"] for plain in expected} <= set(EVENTS)
    for event, plain in zip(events, expected, strict=True):
        found = {"kind": event.kind, **json.loads(json.dumps(dataclasses.asdict(event)))}
        assert {name: found[name] for name in plain} == plain


@pytest.mark.parametrize(("name", "steps"), [("closed", 21), ("killed", 20), ("thinned", 60)])
def test_v1_statistics(name: str, steps: int) -> None:
    """Every row that was kept, by step and as a series."""
    recording = Recording.open(V1 / name)
    assert (len(recording), recording.cut) == (steps, None)
    kept, values = recording.series(1, "grad_norm")
    assert values.tolist() == [step * 1000 + 9 for step in kept]
    for step in kept.tolist():
        table = recording.statistics(step)[:2]
        assert table[:, :V1_COLUMNS].tolist() == table_of(step)
        assert np.isnan(table[:, V1_COLUMNS:]).all()


@pytest.mark.parametrize("name", ["closed", "killed", "thinned"])
def test_v1_has_no_later_statistic(name: str) -> None:
    """A column that was added later is NaN in every step, as a series and in overview."""
    recording = Recording.open(V1 / name)
    steps, values = recording.series(1, STATISTICS[-1])
    assert len(steps) > 0
    assert np.isnan(values).all()
    assert np.isnan(recording.overview(1, STATISTICS[-1], 4)[1]).all()


@pytest.mark.parametrize("name", ["closed", "killed", "thinned"])
def test_v1_measured_in_one_go(name: str) -> None:
    """Reading all steps together gives what reading each gives."""
    recording = Recording.open(V1 / name)
    together = list(recording.measured())
    assert [record.step for record, _ in together] == [record.step for record in recording.steps]
    for record, table in together:
        alone = recording.statistics(record.step)
        assert table is None or np.array_equal(table, alone[: len(table)], equal_nan=True)
        assert table is not None or np.isnan(alone).all()


def test_v1_grown_model() -> None:
    """A parameter that was found at step 20 is NaN before."""
    recording = Recording.open(V1 / "closed")
    assert recording.statistics(20)[:, :V1_COLUMNS].tolist() == table_of(20, 3)
    assert np.isnan(recording.statistics(19)[2]).all()


def test_v1_killed() -> None:
    """A recording without an end, its last segment still hot."""
    recording = Recording.open(V1 / "killed")
    assert recording.closed is None
    assert (V1 / "killed" / "rank00000" / "hot-000001.npy").exists()
    assert len(list(recording.events())) == 60


def test_v1_thinned() -> None:
    """A recording that met its size cap says what it lost."""
    recording = Recording.open(V1 / "thinned")
    assert recording.series(0, "grad_norm")[0].tolist() == [0, 16, 32, *range(48, 60)]
    assert next(recording.events()).step == 49
    assert recording.dropped == (
        "to stay below its size cap the recording keeps statistics of 3 of the 48 steps up to step 47 "
        "and has no events up to step 48"
    )
