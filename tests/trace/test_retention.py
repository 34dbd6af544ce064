from collections.abc import Callable
from pathlib import Path

import numpy as np

from graddebug.records import STATISTICS, Forward
from graddebug.trace import Recording
from graddebug.trace.retention import WINDOW
from graddebug.trace.segments import rows_in_segment
from tests.trace.small_run import SmallRun, events_of, finding, record_of, table_of

Make = Callable[..., SmallRun]
CAP = 1_500_000


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def wide(small_run: Make) -> SmallRun:
    """A run of fifty parameters, of which some 500 steps fit."""
    run = small_run(size_cap=CAP)
    run.add_parameters(48, start=2)
    return run


def kept(recording: Recording) -> list[int]:
    return [int(step) for step in recording.series(0, "grad_norm")[0]]


def test_below_the_cap_nothing_goes(small_run: Make) -> None:
    """A recording that fits keeps everything and says nothing."""
    run = small_run().steps(300)
    run.writer.close()
    recording = Recording.open(run.folder)
    assert kept(recording) == list(range(300))
    assert recording.dropped is None


def test_stays_below_the_cap(small_run: Make) -> None:
    """Ten times as many steps as fit end up within the cap and a segment."""
    run = wide(small_run).steps(2000, parameters=50)
    run.writer.close()
    assert CAP // 2 < size_of(run.folder) < CAP


def test_the_older_the_thinner(small_run: Make) -> None:
    """The newest steps are whole, older ones every second, fourth … and what is kept is right."""
    run = wide(small_run).steps(2000, parameters=50)
    run.writer.close()
    recording = Recording.open(run.folder)
    steps = kept(recording)
    gaps = np.diff(steps)
    assert steps[-40:] == list(range(1960, 2000))
    assert gaps[:3].max() > gaps[-40:].max()
    assert all(np.array_equal(recording.statistics(step), table_of(step, 50)) for step in steps)
    assert np.isnan(recording.statistics(steps[0] + 1)).all()


def test_steps_around_a_finding_stay(small_run: Make) -> None:
    """The neighbourhood of a finding survives thinning, its far surroundings do not."""
    run = wide(small_run).steps(100, parameters=50)
    run.writer.finding(finding(first_step=100, last_step=100))
    run.steps(2000, parameters=50)
    run.writer.close()
    steps = set(kept(Recording.open(run.folder)))
    assert steps >= set(range(100 - WINDOW, 100 + WINDOW + 1))
    assert not steps >= set(range(100 + WINDOW, 400))


def test_it_says_what_it_dropped(small_run: Make) -> None:
    """The sentence counts what is left."""
    run = wide(small_run).steps(2000, parameters=50)
    run.writer.close()
    recording = Recording.open(run.folder)
    assert recording.dropped
    assert recording.dropped.startswith("to stay below its size cap the recording keeps statistics of ")
    assert recording.cut is None
    assert len(recording) == 2000


def test_oldest_events_go_when_they_are_the_most(small_run: Make) -> None:
    """A run of many events drops its oldest block of them, and replay begins after it."""
    run = small_run(size_cap=200_000)
    for step in range(300):
        for order in range(50):
            run.writer.event(Forward(step=step, order=step * 50 + order, module=f"layer{order}", thread=step))
        run.writer.commit(record_of(step), None)
    run.writer.close()
    recording = Recording.open(run.folder)
    first = next(recording.events()).step
    assert 0 < first < 300
    assert recording.dropped == (
        f"to stay below its size cap the recording has no events up to step {first - 1:,}"
    )
    assert recording.cut is None


def test_overview_of_a_thinned_recording(small_run: Make) -> None:
    """Low and high come from what is left."""
    run = wide(small_run).steps(2000, parameters=50)
    run.writer.close()
    recording = Recording.open(run.folder)
    steps, low, high = recording.overview(0, "grad_norm", 20)
    assert len(steps) <= 20
    assert (low.min(), high.max()) == (0, 1999 * 1000)
    assert (np.diff(steps) > 0).all()


def test_events_stay_while_statistics_go(small_run: Make) -> None:
    """Thinning statistics does not touch the events."""
    run = wide(small_run).steps(1000, parameters=50)
    run.writer.close()
    events = list(Recording.open(run.folder).events())
    assert events[:3] == events_of(0)


def test_segments_fit_the_cap() -> None:
    """A segment takes an eighth of the cap at most, and 16 MiB, but always some rows."""
    row = 1000 * len(STATISTICS) * 4
    assert rows_in_segment(width=1, size_cap=2**31) == 8192
    assert rows_in_segment(width=1000, size_cap=2**31) == 16 * 2**20 // row
    assert rows_in_segment(width=1000, size_cap=8 * row * 20) == 20
    assert rows_in_segment(width=10**6, size_cap=2**31) == 16
    assert rows_in_segment(width=0, size_cap=2**31) == 8192
