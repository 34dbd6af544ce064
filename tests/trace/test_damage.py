"""Whatever bytes are lost or flipped: a clear error, or a prefix of the steps that says it was cut."""

import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from graddebug.errors import TraceError
from graddebug.trace import Recording, segments
from graddebug.trace import format as layout
from tests.trace.small_run import (
    SmallRun,
    events_of,
    finding,
    modules_of,
    nodes_of,
    record_of,
    same,
    table_of,
)

STEPS = 30
FILES = [
    "run.json",
    "params.jsonl",
    "optimizers.jsonl",
    "findings.jsonl",
    "graphs/00ff.json.z",
    "rank00000/steps.bin",
    "rank00000/interned.jsonl",
    "rank00000/events-000000.jsonl",
    "rank00000/seg-000000-0.npy",
    "rank00000/sum-000000-0.npy",
    "rank00000/lod-000000-0.npy",
    "rank00000/nodes.bin",
    "rank00000/nodes.jsonl",
    "rank00000/modules.bin",
    "rank00000/modules.jsonl",
]
ENDS = {
    "killed": ["rank00000/hot-000001.npy"],
    "closed": ["rank00000/seg-000001-0.npy", "rank00000/closed.json"],
}
CASES = [(end, name) for end, more in ENDS.items() for name in FILES + more]


@pytest.fixture
def run(small_run: Callable[..., SmallRun], monkeypatch: pytest.MonkeyPatch) -> SmallRun:
    """Thirty steps over two segments, and a finding."""
    monkeypatch.setattr(segments, "ROWS_AT_MOST", 16)
    run = small_run()
    run.writer.finding(finding())
    run.measured(*range(STEPS)).steps(STEPS)
    for thread in threading.enumerate():
        if thread.name == "graddebug-seal":
            thread.join()
    return run


@contextmanager
def changed(path: Path, content: bytes) -> Iterator[None]:
    """The file with other bytes for a while."""
    before = path.read_bytes()
    path.write_bytes(content)
    yield
    path.write_bytes(before)


def check(folder: Path) -> int:
    """Read everything; all of it is right, or refused in plain words. How many steps can be read."""
    try:
        recording = Recording.open(folder)
        list(recording.findings)
    except TraceError:
        return 0
    events = list(recording.events())
    right = [event for step in range(len(recording)) for event in events_of(step)]
    assert events == right[: len(events)]
    assert len(events) == len(right) or recording.cut
    assert list(recording.steps) == [record_of(step) for step in range(len(recording))]
    # A run that was killed may have ended after any of its steps.
    assert len(recording) == STEPS or recording.cut or recording.closed is None
    check_statistics(recording)
    check_tables(recording)
    return len(recording)


def check_statistics(recording: Recording) -> None:
    try:
        for step in range(len(recording)):
            assert np.array_equal(recording.statistics(step), table_of(step)[: len(recording.parameters)])
        recording.overview(0, "grad_norm", 3)
        steps, values = recording.series(0, "grad_norm")
        assert values.tolist() == [table_of(step)[0, 0] for step in steps]
    except (TraceError, IndexError):
        return


def check_tables(recording: Recording) -> None:
    """What is read of nodes and modules is right, and missing ones are told of or refused."""
    assert recording.node_steps() == list(range(len(recording.node_steps())))
    assert len(recording.node_steps()) == len(recording) or recording.cut or recording.closed is None
    for step in range(len(recording)):
        with suppress(TraceError):
            for nodes in recording.nodes(step):
                assert same(nodes, nodes_of(step))
        with suppress(TraceError):
            modules = recording.modules(step)
            assert modules is None or same(modules, modules_of(step))


def finish(run: SmallRun, end: str) -> None:
    if end == "closed":
        run.writer.close()


@pytest.mark.parametrize(("end", "name"), CASES)
def test_cut_anywhere(run: SmallRun, end: str, name: str) -> None:
    """A file that ends too early leaves the steps before."""
    finish(run, end)
    path = run.folder / name
    whole = path.read_bytes()
    assert check(run.folder) == STEPS
    for length in sorted({0, 1, len(whole) - 1, *range(0, len(whole), max(1, len(whole) // 25))}):
        with changed(path, whole[:length]):
            check(run.folder)


@pytest.mark.parametrize(("end", "name"), CASES)
def test_folder_instead_of_a_file(run: SmallRun, end: str, name: str) -> None:
    """What the system refuses to read is told like any other damage."""
    finish(run, end)
    (run.folder / name).unlink()
    (run.folder / name).mkdir()
    check(run.folder)
    with suppress(TraceError):
        Recording.open(run.folder).graph("00ff")


def with_record(data: bytes, place: int, **fields: int) -> bytes:
    """A steps file in which one record says something else, and all checks agree again."""
    records = np.frombuffer(data, dtype=layout.STEP).copy()
    for name, value in fields.items():
        records[name][place] = value
    changed, crc = b"", 0
    for record in records:
        changed += record.tobytes()[: -layout.CHECK_BYTES]
        crc = zlib.crc32(changed)
        changed += crc.to_bytes(layout.CHECK_BYTES, "little")
    return changed


@pytest.mark.parametrize("field", [*(layout.STEP.fields or ())][:-1])
@pytest.mark.parametrize("value", [-1, 0, 1, 2**31 - 1])
def test_commit_record_that_makes_no_sense(run: SmallRun, field: str, value: int) -> None:
    """A record that points anywhere is damage too, though its checksum is right: who made it is unknown."""
    path = run.folder / "rank00000" / "steps.bin"
    data = path.read_bytes()
    number = value % 2 ** (8 * layout.STEP[field].itemsize) if layout.STEP[field].kind == "u" else value
    with changed(path, with_record(data, 20, **{field: number})), suppress(TraceError):
        recording = Recording.open(run.folder)
        for record in recording.steps:
            assert recording.step(record.step) is not None
        list(recording.events())
        check_statistics_are_readable(recording)


def check_statistics_are_readable(recording: Recording) -> None:
    for record in recording.steps:
        with suppress(TraceError):
            recording.statistics(record.step)
        if record.graph:
            recording.graph(record.graph)
    recording.series(0, "grad_norm")


def test_steps_out_of_order_are_noticed(run: SmallRun) -> None:
    """The recording ends before a step that does not come after the one before."""
    path = run.folder / "rank00000" / "steps.bin"
    with changed(path, with_record(path.read_bytes(), 20, step=3)):
        recording = Recording.open(run.folder)
        assert (len(recording), recording.last_step) == (20, 19)
        assert recording.cut
        assert "comes out of order" in recording.cut


@pytest.mark.parametrize(("end", "name"), CASES)
def test_bit_flipped_anywhere(run: SmallRun, end: str, name: str) -> None:
    """A flipped bit never changes what is read without a word."""
    finish(run, end)
    path = run.folder / name
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        with changed(path, bytes(flipped)):
            check(run.folder)


@pytest.mark.parametrize(("end", "name"), CASES)
def test_file_missing(run: SmallRun, end: str, name: str) -> None:
    """A file that is gone is no reason for a traceback."""
    finish(run, end)
    (run.folder / name).unlink()
    check(run.folder)


def test_lost_steps_are_noticed(run: SmallRun) -> None:
    """A closed recording knows how many steps it had."""
    run.writer.close()
    path = run.folder / "rank00000" / "steps.bin"
    with changed(path, path.read_bytes()[: 10 * 96]):
        cut = Recording.open(run.folder).cut
    assert cut == (
        "the recording is damaged or its end is missing (20 more steps are missing from steps.bin): "
        "it is read up to step 9"
    )


def test_half_a_commit_is_noticed(run: SmallRun) -> None:
    """A step that was being committed when the run was killed is not read, and that is said."""
    path = run.folder / "rank00000" / "steps.bin"
    with changed(path, path.read_bytes()[:-50]):
        recording = Recording.open(run.folder)
        assert recording.last_step == STEPS - 2
        assert recording.cut
        assert "ends after 46 of 96 bytes" in recording.cut


def test_damaged_events_are_noticed_in_replay(run: SmallRun) -> None:
    """Opening does not read all events; replay stops before damaged ones and the recording says so."""
    path = run.folder / "rank00000" / "events-000000.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    with changed(path, b"".join([*lines[:20], lines[20].replace(b"0.1", b"0.2"), *lines[21:]])):
        recording = Recording.open(run.folder)
        assert len(recording) == STEPS
        assert [event.step for event in recording.events()][-1] == 19
        assert recording.cut == (
            "the events of step 20 are damaged (they do not match their checksum): replay ends before it"
        )
        assert not recording.refresh()
        assert recording.cut


def test_damaged_events_take_no_step_away(run: SmallRun) -> None:
    """Who stands on a later step while a replay meets damage keeps it, and its statistics."""
    path = run.folder / "rank00000" / "events-000000.jsonl"
    with changed(path, path.read_bytes().replace(b"0.2", b"0.3")):
        recording = Recording.open(run.folder)
        list(recording.events())
        assert (len(recording), recording.step(STEPS - 1).step) == (STEPS, STEPS - 1)
        assert np.array_equal(recording.statistics(STEPS - 1), table_of(STEPS - 1))


def test_damaged_row_does_not_hide_the_others(run: SmallRun) -> None:
    """A flipped bit in one step's numbers is an error for that step alone."""
    path = run.folder / "rank00000" / "hot-000001.npy"
    data = bytearray(path.read_bytes())
    data[128 + 5 * table_of(0).nbytes + 3] ^= 1
    with changed(path, bytes(data)):
        recording = Recording.open(run.folder)
        with pytest.raises(TraceError, match="the statistics of step 21 cannot be read"):
            recording.statistics(21)
        assert np.array_equal(recording.statistics(22), table_of(22))


def test_damaged_findings_are_said(run: SmallRun) -> None:
    """Losing a finding loses no step, but is said."""
    path = run.folder / "findings.jsonl"
    with changed(path, path.read_bytes().replace(b"pile", b"tile")):
        recording = Recording.open(run.folder)
        assert len(recording) == STEPS
        assert recording.findings == []
        assert recording.cut
        assert "findings.jsonl" in recording.cut


def test_damaged_levels_are_noticed(small_run: Callable[..., SmallRun]) -> None:
    """A flipped bit in the levels is no lowest or highest value."""
    run = small_run().steps(200)
    run.writer.close()
    path = run.folder / "rank00000" / "lod-000000-0.npy"
    data = bytearray(path.read_bytes())
    data[128 + 7] ^= 1
    with changed(path, bytes(data)):
        recording = Recording.open(run.folder)
        with pytest.raises(TraceError, match="grad_norm of p0 cannot be read"):
            recording.overview(0, "grad_norm", 2)
        assert len(recording.overview(0, "grad_mean", 2)[0]) == 2
