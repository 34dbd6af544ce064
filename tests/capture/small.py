"""A small model and a few steps of training, for tests of how watching treats a program."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

import graddebug
from graddebug.capture.graph import SAVED_TENSORS


def model() -> nn.Sequential:
    """Two layers, the same each time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def sgd(module: nn.Module) -> torch.optim.Optimizer:
    """Plain SGD over all of a module."""
    return torch.optim.SGD(module.parameters(), 0.1)


def train(
    module: Callable[[torch.Tensor], torch.Tensor], optimizer: torch.optim.Optimizer, steps: int = 3
) -> None:
    """A correct loop."""
    for _ in range(steps):
        optimizer.zero_grad()
        module(torch.ones(5, 4)).pow(2).mean().backward()
        optimizer.step()


def unseen(run: graddebug.Run) -> list[str]:
    """What a watch could not see, but for what this release of torch, or a compiled function, shows nobody."""
    hidden = (SAVED_TENSORS, "calls inside compiled functions")
    return [event.what for event in run.not_observable if event.what not in hidden]


def assert_seen(run: graddebug.Run, *, steps: int) -> None:
    """The watch saw a correct program to its end: no failure of its own, nothing found."""
    assert unseen(run) == []
    assert [finding.rule for finding in run.findings] == []
    assert run.steps == steps
