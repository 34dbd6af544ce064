"""kill -9 in the middle of a run."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graddebug.trace import Recording
from tests.trace.small_run import events_of, table_of

ROOT = Path(__file__).parents[2]

WRITES_FOR_EVER = """
import sys
from pathlib import Path
from graddebug.trace import segments
from tests.trace.small_run import SmallRun
segments.ROWS_AT_MOST = 50
run = SmallRun(Path(sys.argv[1]))
while True:
    print(run.steps(1).next_step, flush=True)
"""


@pytest.mark.parametrize("steps", [1, 49, 230, 1000])
def test_killed_run_keeps_every_committed_step(tmp_path: Path, steps: int) -> None:
    """What commit returned from is in the recording, whatever happens next."""
    folder = tmp_path / "run"
    command = [sys.executable, "-c", WRITES_FOR_EVER, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        committed = [int(process.stdout.readline()) for _ in range(steps)][-1]
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:
            committed = int(line) if line.endswith("\n") else committed
    recording = Recording.open(folder)
    assert len(recording) in (committed, committed + 1)  # the last one may not have been printed
    assert (recording.closed, recording.cut) == (None, None)
    assert list(recording.events()) == [event for step in range(len(recording)) for event in events_of(step)]
    assert all(np.array_equal(recording.statistics(s), table_of(s)) for s in range(len(recording)))
