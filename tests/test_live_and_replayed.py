"""What a watch finds while a program trains, `graddebug check` finds in its recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import graddebug
from graddebug.commands.check import judge
from graddebug.trace import Recording
from tests.capture.observing import mlp


def train(folder: Path, model: nn.Module, *, lr: float, steps: int) -> graddebug.Run:
    """A loop on random numbers, recorded."""
    torch.manual_seed(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    with graddebug.watch(model, optimizer, out=folder, on_finding="silent") as run:
        for _ in range(steps):
            optimizer.zero_grad()
            x = torch.randn(16, 4)
            loss: Any = (model(x) - x.sum(1, keepdim=True)).square().mean()
            loss.backward()
            optimizer.step()
    return run


def dead() -> nn.Module:
    model = mlp(4, 8, 8, 1)
    nn.init.constant_(model[2].bias, -50.0)  # type: ignore[arg-type]
    return model


CASES = {
    "dead": (dead, 0.1, 25, "GD510"),
    "explodes": (lambda: mlp(4, 1), 1.3, 45, "GD507"),
    "stands": (lambda: mlp(4, 8, 1), 1e-9, 70, "GD511"),
    "healthy": (lambda: mlp(4, 8, 1), 0.01, 33, None),
}


@pytest.mark.parametrize("case", CASES)
def test_statistics_are_judged_alike(tmp_path: Path, case: str) -> None:
    """The same findings, with the same numbers, in a whole recording and in one with hot segments only."""
    make, lr, steps, code = CASES[case]
    run = train(tmp_path / "run", make(), lr=lr, steps=steps)
    replayed = judge(Recording.open(tmp_path / "run")).findings
    assert sorted(replayed, key=lambda f: f.id) == sorted(run.findings, key=lambda f: f.id)
    assert {f.rule for f in replayed} >= ({code} if code else set())


def test_a_damaged_segment_silences_its_rules_and_is_said(tmp_path: Path) -> None:
    """Events are judged all the same."""
    train(tmp_path / "run", dead(), lr=0.1, steps=25)
    path = tmp_path / "run" / "rank00000" / "seg-000000-0.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    recording = Recording.open(tmp_path / "run")
    assert judge(recording).findings == ()
    assert recording.cut is not None
    assert "the statistics of steps 0 to 24 are damaged" in recording.cut
    assert np.isnan(recording.losses()[1]).sum() == 0
