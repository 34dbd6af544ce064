import os
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graddebug.errors import UsageError
from graddebug.graph import BackwardGraph
from graddebug.records import Acknowledgement, ParameterInfo, RunEnd
from graddebug.trace import Recording, TraceWriter
from tests.trace.small_run import BACKWARD, INFO, SmallRun, finding, record_of, table_of


def test_folder_with_files_is_refused(tmp_path: Path) -> None:
    """A recording never mixes with other files."""
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UsageError, match="already holds files"):
        TraceWriter(tmp_path, INFO)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_file_instead_of_a_folder_is_refused(tmp_path: Path) -> None:
    """A file where the folder should be is named."""
    path = tmp_path / "run"
    path.touch()
    with pytest.raises(UsageError, match="is a file"):
        TraceWriter(path, INFO)
    with pytest.raises(UsageError, match="is a file"):
        TraceWriter(path / "below", INFO)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_folder_is_refused(tmp_path: Path) -> None:
    """A folder that may not be written to says so at once."""
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="Permission denied"):
        TraceWriter(tmp_path / "run", INFO)


def test_unwritable_place_is_refused() -> None:
    """A place that takes no folder, whoever asks, says so at once."""
    with pytest.raises(UsageError, match="no recording can be written to /proc/run: "):
        TraceWriter("/proc/run", INFO)


def test_index_out_of_line_is_refused(small_run: Callable[..., SmallRun]) -> None:
    """Parameters come in order of their index."""
    with pytest.raises(ValueError, match="its index must be 2"):
        small_run().writer.parameter(ParameterInfo(index=5, name="w", shape=(), dtype="float32"))


def test_steps_out_of_line_are_refused(small_run: Callable[..., SmallRun]) -> None:
    """Steps come in order."""
    run = small_run().steps(2)
    with pytest.raises(ValueError, match="step 1 cannot come after step 1"):
        run.writer.commit(record_of(1), None)


@pytest.mark.parametrize("shape", [(2, 8), (3, 9)])
def test_table_of_another_shape_is_refused(
    small_run: Callable[..., SmallRun], shape: tuple[int, int]
) -> None:
    """A table must have the columns of the record and no more rows than parameters."""
    with pytest.raises(ValueError, match="statistics must be"):
        small_run().writer.commit(record_of(0), np.zeros(shape, dtype=np.float32))


def test_graph_is_stored_once(small_run: Callable[..., SmallRun]) -> None:
    """The first graph of a hash stays."""
    run = small_run()
    run.writer.graph(BackwardGraph("00ff", ()))
    assert len(Recording.open(run.folder).graph("00ff").nodes) == 2


def test_graph_cannot_leave_the_folder(small_run: Callable[..., SmallRun]) -> None:
    """A hash that is a path is refused."""
    with pytest.raises(ValueError, match="hex"):
        small_run().writer.graph(BackwardGraph("../../evil", ()))


def test_repeating_finding_costs_few_lines(small_run: Callable[..., SmallRun]) -> None:
    """Ten thousand repeats are some hundred lines, and the last count is kept."""
    run = small_run()
    for count in range(1, 10_001):
        run.writer.finding(finding(count))
    run.writer.close()
    assert len((run.folder / "findings.jsonl").read_bytes().splitlines()) < 150
    assert Recording.open(run.folder).findings == [finding(10_000)]


def test_acknowledged_finding_is_written_at_once(small_run: Callable[..., SmallRun]) -> None:
    """A change of more than the count does not wait."""
    run = small_run()
    run.writer.finding(finding(1000))
    run.writer.finding(finding(1001, acknowledged="on purpose"))
    assert Recording.open(run.folder).findings[0].acknowledged == "on purpose"


def test_close_twice_is_close_once(small_run: Callable[..., SmallRun]) -> None:
    """The first reason stays, and later calls do nothing."""
    run = small_run().steps(1)
    run.writer.close("exception")
    run.writer.close("finished")
    run.steps(1)
    recording = Recording.open(run.folder)
    assert (recording.closed, len(recording)) == ("exception", 1)


def test_events_after_the_last_commit_are_kept(small_run: Callable[..., SmallRun]) -> None:
    """The tail of a run that ended within a step is read after its steps."""
    run = small_run().steps(2)
    end = RunEnd(step=2, order=6, reason="exception", detail="ValueError")
    run.writer.event(end)
    run.writer.close("exception")
    recording = Recording.open(run.folder)
    assert list(recording.events())[-1] == end
    assert list(recording.events(last=1))[-1] != end
    assert list(recording.events(first=2)) == [end]


def test_no_thread_is_left_behind(small_run: Callable[..., SmallRun]) -> None:
    """The sealing thread is joined at the end."""
    before = threading.enumerate()
    run = small_run(size_cap=20_000).steps(200)
    run.writer.close()
    assert threading.enumerate() == before


def test_forked_child_writes_nothing(small_run: Callable[..., SmallRun]) -> None:
    """A child inherits the writer, but may not touch the recording."""
    run = small_run().steps(1)
    pid = os.fork()
    if not pid:
        run.steps(1)
        run.writer.finding(finding())
        run.writer.close("child")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    recording = Recording.open(run.folder)
    assert (len(recording), recording.closed, recording.findings) == (1, None, [])
    run.steps(2)
    assert Recording.open(run.folder).statistics(2).tolist() == table_of(2).tolist()


def test_removed_folder_is_one_error(small_run: Callable[..., SmallRun]) -> None:
    """When the folder goes, the next commit says so, and everything after it is quiet."""
    run = small_run().steps(1)
    shutil.rmtree(run.folder)
    with pytest.raises(FileNotFoundError, match="folder was removed"):
        run.steps(1)
    run.steps(1)
    run.writer.finding(finding())
    run.writer.close()


def test_full_disk_is_one_error(small_run: Callable[..., SmallRun]) -> None:
    """A write that fails ends the recording; what was committed stays."""
    run = small_run().steps(3)
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(OSError, match="too large"):
            run.steps(50)
        run.steps(50)
        run.writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    recording = Recording.open(run.folder)
    assert 3 <= len(recording) < 50
    assert [event.step for event in recording.events()][-1] == recording.last_step
    assert (recording.closed, recording.findings) == (None, [])


def test_acknowledgements_are_kept(small_run: Callable[..., SmallRun]) -> None:
    """What the user knows comes back, and cannot be lost with the end of the run."""
    run = small_run()
    known = Acknowledgement(rules=("GD101",), parameters=("fc.*",), reason="on purpose", written="watch()")
    run.writer.acknowledgement(known)
    assert Recording.open(run.folder).acknowledgements == [known]


def test_an_acknowledgement_may_be_reached_later(small_run: Callable[..., SmallRun]) -> None:
    """Its newer state takes the place of the older."""
    run = small_run()
    comment = Acknowledgement(rules=("GD101",), file="train.py", lines=(12, 12), site=BACKWARD, reached=False)
    run.writer.acknowledgement(comment)
    run.writer.acknowledgement(replace(comment, reached=True))
    assert Recording.open(run.folder).acknowledgements == [replace(comment, reached=True)]
