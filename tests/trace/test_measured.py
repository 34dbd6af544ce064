"""Tables of nodes and modules: what is kept of them, and that it is read as it was written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from graddebug.errors import TraceError
from graddebug.records import ModuleTable, NodeTable, Nonfinite, StepRecord
from graddebug.trace import Recording
from graddebug.trace.choice import A_DOUBLING, AROUND, Choice, is_sparse
from graddebug.trace.retention import WINDOW
from tests.trace.small_run import SmallRun, finding, modules_of, nodes_of, record_of, same

Make = Callable[..., SmallRun]
GOLDEN = Path(__file__).parent / "golden" / "v1" / "closed"


def test_tables_are_read_as_they_were_written(small_run: Make) -> None:
    """Every field and number, of a run that is open and of one that has ended."""
    run = small_run().measured(0, 2).steps(3)
    for _ in range(2):
        recording = Recording.open(run.folder)
        assert recording.node_steps() == recording.module_steps() == [0, 2]
        (nodes,), modules = recording.nodes(2), recording.modules(2)
        assert same(nodes, nodes_of(2))
        assert modules is not None
        assert same(modules, modules_of(2))
        run.writer.close()


def test_a_step_without_tables_has_none(small_run: Make) -> None:
    """Most steps are not measured."""
    recording = Recording.open(small_run().measured(0).steps(2).folder)
    assert (recording.nodes(1), recording.modules(1)) == ([], None)


def test_several_backwards_of_a_step_come_in_their_order(small_run: Make) -> None:
    """Each with its own table, which may have any number of rows."""
    run = small_run()
    for backward, rows in ((7, 3), (4, 0)):
        table = nodes_of(0, rows)
        run.writer.nodes(NodeTable(step=0, backward=backward, graph="00ff", scale=2.0, values=table.values))
    run.steps(1)
    tables = Recording.open(run.folder).nodes(0)
    assert [(table.backward, len(table.values), table.scale) for table in tables] == [
        (4, 0, 2.0),
        (7, 3, 2.0),
    ]


def test_names_of_modules_are_stored_once(small_run: Make) -> None:
    """A run measures the same modules again and again."""
    run = small_run().measured(*range(20)).steps(20)
    assert (run.folder / "rank00000" / "modules.jsonl").read_bytes().count(b"head") == 1


def test_a_table_of_another_shape_is_refused(small_run: Make) -> None:
    """The writer says what it wants."""
    run = small_run()
    wrong = np.zeros((2, 3), dtype=np.float32)
    with pytest.raises(ValueError, match=r"must be \(2, 5\), not \(2, 3\)"):
        run.writer.nodes(NodeTable(step=0, backward=0, graph="00ff", scale=1.0, values=wrong))
    with pytest.raises(ValueError, match=r"must be \(1, 4\), not \(2, 3\)"):
        run.writer.modules(ModuleTable(step=0, modules=("fc",), dtypes=("float16",), values=wrong))


def test_a_follower_sees_tables_as_their_steps_are_committed(small_run: Make) -> None:
    """What was measured in the step in flight is no part of the recording yet."""
    run = small_run().measured(0)
    recording = Recording.open(run.folder)
    assert recording.node_steps() == []
    run.steps(1)
    assert recording.refresh()
    assert recording.node_steps() == [0]


def test_recordings_without_tables_open_as_ever() -> None:
    """Older ones have no such files."""
    recording = Recording.open(GOLDEN)
    assert (recording.node_steps(), recording.module_steps(), recording.cut) == ([], [], None)
    assert (recording.nodes(0), recording.modules(0)) == ([], None)


def test_a_damaged_table_takes_no_other_away(small_run: Make) -> None:
    """Each has a checksum of its own."""
    run = small_run().measured(0, 1).steps(2)
    path = run.folder / "rank00000" / "nodes.bin"
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(bytes(data))
    recording = Recording.open(run.folder)
    with pytest.raises(TraceError, match="a table of nodes of step 0 cannot be read"):
        recording.nodes(0)
    assert same(recording.nodes(1)[0], nodes_of(1))


def test_beyond_its_share_of_the_cap_no_table_is_taken(small_run: Make) -> None:
    """The recording says from which step on."""
    run = small_run(size_cap=16_000).measured(*range(60))
    for step in range(60):
        run.writer.commit(record_of(step), None)
    recording = Recording.open(run.folder)
    first = recording.module_steps()[-1] + 1
    assert 1 < first < 60
    assert recording.dropped == (
        f"to stay below its size cap the recording has no more tables of nodes or modules from step {first}"
    )


# --- what is kept ---------------------------------------------------------------------------


def kept(choice: Choice[StepRecord], steps: range, *, trouble: tuple[int, ...] = ()) -> list[int]:
    """Steps whose table is kept when each is measured, and some turn out to be in trouble."""
    found: list[int] = []
    for step in steps:
        found += [table.step for table in choice.measured(record_of(step))]
        if step in trouble:
            found += [table.step for table in choice.around(step)]
    return found


def test_early_tables_are_all_kept_and_later_ones_thinned() -> None:
    """Each doubling of their number has the same share."""
    steps = kept(Choice(), range(2**14))
    assert steps[: 2 * A_DOUBLING] == list(range(2 * A_DOUBLING))
    for low in (2**8, 2**12, 2**13):
        assert len([step for step in steps if low <= step < 2 * low]) == A_DOUBLING


def test_tables_around_trouble_are_kept() -> None:
    """Those measured shortly before, the one itself, those shortly after."""
    trouble = 2**14 + 1001
    steps = set(kept(Choice(), range(2**14 + 2000), trouble=(trouble,)))
    assert set(range(trouble - AROUND + 1, trouble + AROUND + 1)) <= steps
    assert trouble + AROUND + 1 not in steps


def test_trouble_long_ago_keeps_nothing() -> None:
    """A table of a step far from it is not about it."""
    choice: Choice[StepRecord] = Choice()
    kept(choice, range(2**14 + 1))
    assert choice.around(2**14 + WINDOW + 20) == []


def test_trouble_in_every_step_is_thinned_too() -> None:
    """A run of nothing but NaN keeps at most twice as many."""
    steps = range(2**14)
    healthy, broken = kept(Choice(), steps), kept(Choice(), steps, trouble=tuple(steps))
    assert len(broken) == len(set(broken)) <= 2 * len(healthy)


def test_thinning_is_by_count() -> None:
    """64 of every doubling, from the first on."""
    assert [is_sparse(count) for count in (0, 1, 127, 128, 129, 256, 257, 260)] == [
        *(True, True, True, True, False, True, False, True)
    ]


@pytest.mark.parametrize("told", ["event", "finding"])
def test_a_nonfinite_number_and_a_finding_are_trouble(small_run: Make, told: str) -> None:
    """The writer hears of both."""
    run = small_run()
    for step in range(1200):
        run.measured(step)
        if step == 1101 and told == "event":
            run.writer.event(Nonfinite(step=step, order=step, backward=0))
        if step == 1101 and told == "finding":
            run.writer.finding(finding(first_step=1101, last_step=1101))
        run.writer.commit(record_of(step), None)
    assert set(range(1098, 1105)) <= set(Recording.open(run.folder).node_steps())
