"""kill -9 in the middle of a training that `graddebug run` watches."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from graddebug.trace.reader import Recording
from tests.running import environment, graddebug, script

TRAINS_FOR_EVER = """\
import itertools
import torch

model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in itertools.count():
    optimizer.zero_grad()
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
    print(step, flush=True)
"""


@pytest.mark.parametrize("steps", [2, 40, 400])
def test_a_killed_training_keeps_its_steps(tmp_path: Path, steps: int) -> None:
    """Every step whose successor has begun is there, and the commands say how it ended."""
    script(tmp_path, TRAINS_FOR_EVER)
    command = [sys.executable, "-m", "graddebug", "run", "-o", "out", "train.py"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=tmp_path, env=environment(), text=True
    ) as process:
        assert process.stdout is not None
        done = [int(process.stdout.readline()) for _ in range(steps)][-1]
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:
            done = int(line) if line.endswith("\n") else done
    recording = Recording.open(tmp_path / "out")
    assert len(recording) in (done, done + 1)  # a step is over when the next one begins
    assert recording.statistics(len(recording) - 1).shape[0] == 2
    assert recording.closed is None
    checked = graddebug("check", "out", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert f"{len(recording)} step" in checked.stdout
