from collections.abc import Callable

import numpy as np
import pytest

from graddebug.errors import TraceError, UsageError
from graddebug.records import STATISTICS, StepRecord
from graddebug.trace import Recording, segments
from graddebug.trace import format as layout
from graddebug.trace.table import Segment, Segments
from tests.trace.small_run import GRAPH, INFO, SmallRun, events_of, finding, record_of, table_of

Make = Callable[..., SmallRun]


def opened(run: SmallRun) -> Recording:
    run.writer.close()
    return Recording.open(run.folder)


def test_steps_come_back(small_run: Make) -> None:
    """Steps are a list of records, from the front, the back and in slices."""
    recording = opened(small_run().steps(5))
    assert list(recording.steps) == [record_of(step) for step in range(5)]
    assert recording.steps[-1] == recording.step(4) == record_of(4)
    assert list(recording.steps[1:3]) == [record_of(1), record_of(2)]
    assert (recording.first_step, recording.last_step, len(recording)) == (0, 4, 5)


def test_tables_come_back(small_run: Make) -> None:
    """Who ran, with which parameters, optimizers, graphs and findings."""
    run = small_run()
    run.writer.finding(finding())
    recording = opened(run)
    assert recording.info == INFO
    assert [parameter.name for parameter in recording.parameters] == ["p0", "p1"]
    assert [optimizer.name for optimizer in recording.optimizers] == ["optimizer"]
    assert recording.graph("00ff") == GRAPH
    assert recording.findings == [finding()]
    assert (recording.closed, recording.cut, recording.dropped) == ("finished", None, None)


def test_absent_loss_is_not_zero(small_run: Make) -> None:
    """A step without a loss has None, one whose loss is NaN has NaN."""
    run = small_run()
    run.writer.commit(StepRecord(step=0, time=0.0, duration=0.0), None)
    run.writer.commit(StepRecord(step=1, time=0.0, duration=0.0, loss=float("nan"), scale=2.0), None)
    recording = opened(run)
    assert (recording.step(0).loss, recording.step(0).scale) == (None, None)
    assert repr(recording.step(1).loss) == "nan"
    assert recording.step(1).scale == 2.0
    assert np.isnan(recording.losses()[1]).all()


def test_events_come_back(small_run: Make) -> None:
    """All events in order, or those of some steps."""
    recording = opened(small_run().steps(6))
    assert list(recording.events()) == [event for step in range(6) for event in events_of(step)]
    assert list(recording.events(2, 3)) == events_of(2) + events_of(3)
    assert list(recording.events(first=5)) == events_of(5)


def test_statistics_come_back(small_run: Make) -> None:
    """Each step's table, from a hot segment and from a sealed one."""
    run = small_run().steps(20)
    hot = Recording.open(run.folder)
    sealed = opened(run)
    assert not list(run.folder.glob("rank*/hot-*"))
    for recording in (hot, sealed):
        assert all(np.array_equal(recording.statistics(step), table_of(step)) for step in range(20))


def test_series_come_back(small_run: Make) -> None:
    """One statistic over all steps, from a hot segment and from a sealed one."""
    run = small_run().steps(20)
    for recording in (Recording.open(run.folder), opened(run)):
        steps, values = recording.series(1, "grad_mean")
        assert steps.tolist() == list(range(20))
        assert values.tolist() == [table_of(step)[1, 3] for step in range(20)]


def test_series_over_many_segments(small_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A series goes on over the borders of segments."""
    monkeypatch.setattr(segments, "ROWS_AT_MOST", 70)
    recording = opened(small_run().steps(400))
    assert len(list(recording.folder.glob("rank*/seg-*"))) > 1
    steps, values = recording.series(0, "grad_norm")
    assert values.tolist() == (steps * 1000).tolist() == [step * 1000 for step in range(400)]


def test_parameters_found_later_are_nan_before(small_run: Make) -> None:
    """A model that grows gets wider tables; earlier steps say NaN about the new ones."""
    run = small_run().steps(3)
    run.add_parameters(1, start=2)
    run.steps(2, parameters=3)
    recording = opened(run)
    assert recording.statistics(1).shape == (3, len(STATISTICS))
    assert np.isnan(recording.statistics(1)[2]).all()
    assert recording.series(2, "grad_norm")[1].tolist()[3:] == [table_of(s, 3)[2, 0] for s in (3, 4)]
    assert np.isnan(recording.series(2, "grad_norm")[1][:3]).all()


def test_unmeasured_steps(small_run: Make) -> None:
    """A step without a table reads as NaN and is left out of series."""
    run = small_run().steps(2)
    run.writer.commit(record_of(2), None)
    run.next_step = 3
    recording = opened(run.steps(1))
    assert np.isnan(recording.statistics(2)).all()
    assert recording.series(0, "grad_norm")[0].tolist() == [0, 1, 3]


@pytest.mark.parametrize("points", [1, 3, 10, 299, 1000])
def test_overview_holds_the_extremes(small_run: Make, points: int) -> None:
    """However few the points, lowest and highest are those of the series."""
    recording = opened(small_run().steps(300))
    steps, low, high = recording.overview(1, "grad_norm", points)
    _, values = recording.series(1, "grad_norm")
    assert len(steps) == len(low) == len(high) == min(points, len(steps)) <= points
    assert (low.min(), high.max()) == (values.min(), values.max())
    assert steps[0] == 0
    assert (np.diff(steps) > 0).all()


def test_overview_of_nothing(small_run: Make) -> None:
    """Before the first step an overview is empty."""
    assert [len(column) for column in opened(small_run()).overview(0, "grad_norm", 10)] == [0, 0, 0]


def test_unknown_questions(small_run: Make) -> None:
    """What is not there is said to be not there, each in its own way."""
    recording = opened(small_run().steps(1))
    with pytest.raises(KeyError):
        recording.step(1)
    with pytest.raises(KeyError):
        recording.statistics(-1)
    with pytest.raises(KeyError):
        recording.graph("beef")
    with pytest.raises(KeyError):
        recording.graph("../../etc/passwd")
    with pytest.raises(IndexError):
        recording.series(2, "grad_norm")
    with pytest.raises(UsageError, match=r"no statistic 'norm': choose one of grad_norm, "):
        recording.series(0, "norm")


def test_follows_a_growing_recording(small_run: Make) -> None:
    """Refreshing reads what was added, and says whether there was anything."""
    run = small_run()
    recording = Recording.open(run.folder)
    assert not recording.refresh()
    for step in range(150):
        run.steps(1)
        assert recording.refresh()
        assert np.array_equal(recording.statistics(step), table_of(step))
        assert recording.series(0, "grad_norm")[0].tolist() == list(range(step + 1))
    assert not recording.refresh()
    assert list(recording.events(149)) == events_of(149)


def test_follows_findings_parameters_and_the_end(small_run: Make) -> None:
    """Refreshing sees everything, not only steps."""
    run = small_run()
    recording = Recording.open(run.folder)
    run.writer.finding(finding())
    assert recording.refresh()
    run.add_parameters(1, start=2)
    assert recording.refresh()
    run.writer.close("interrupted")
    assert recording.refresh()
    assert (len(recording.findings), len(recording.parameters), recording.closed) == (1, 3, "interrupted")


def test_follows_into_sealed_and_thinned_segments(small_run: Make) -> None:
    """A reader that has a hot segment open goes on when it is sealed under it."""
    run = small_run(size_cap=40_000).steps(5)
    recording = Recording.open(run.folder)
    recording.statistics(0)
    run.steps(200)
    assert np.array_equal(recording.statistics(0), table_of(0))
    recording.refresh()
    assert recording.series(0, "grad_norm")[0][-1] == 204


def test_thinned_again_while_it_is_asked(small_run: Make) -> None:
    """However often the writer thins a segment between two tries, the next try is put to the newest."""
    run = small_run().steps(5)
    run.writer.close()
    rank = run.folder / "rank00000"
    layout.write_array(rank / "rows-000000-0.npy", np.arange(5, dtype=np.int32))
    generations = [0, 1, 2]

    def question(segment: Segment) -> int:
        if (generation := generations.pop(0)) < 2:
            for part in ("lod", "sum", "rows", "seg"):
                old, new = (rank / layout.sealed_file(part, 0, generation + more) for more in (0, 1))
                old.rename(new)
            raise FileNotFoundError(2, "No such file or directory", "seg-000000-0.npy")
        return segment.width

    asked = Segments(rank)
    asked.refresh()
    assert asked.ask(0, question) == 2


def test_growing_never_looks_cut(small_run: Make) -> None:
    """A live recording is not damaged because it is not finished."""
    run = small_run().steps(10)
    recording = Recording.open(run.folder)
    assert (recording.closed, recording.cut) == (None, None)


def test_damaged_graph(small_run: Make) -> None:
    """A damaged graph is one error; the rest stays readable."""
    run = small_run().steps(2)
    path = run.folder / "graphs" / "00ff.json.z"
    path.write_bytes(path.read_bytes()[:-5])
    recording = opened(run)
    with pytest.raises(TraceError, match=r"00ff\.json\.z cannot be read: .*damaged"):
        recording.graph("00ff")
    assert len(list(recording.events())) == 6


def test_graph_under_another_name(small_run: Make) -> None:
    """A graph file that was renamed does not pass for another."""
    run = small_run()
    (run.folder / "graphs" / "00ff.json.z").rename(run.folder / "graphs" / "beef.json.z")
    with pytest.raises(TraceError, match="another graph"):
        opened(run).graph("beef")
