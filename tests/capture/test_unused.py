"""Losses that went bad and that no backward was called on."""

from __future__ import annotations

import torch
from torch import nn

from graddebug.records import Nonfinite
from tests.capture.observing import mlp, observe


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, *, bad: bool = False) -> None:
    optimizer.zero_grad()
    out = model(torch.ones(2, 3))
    loss = torch.log(out.mean() * 0) if bad else out.mean()
    if loss.isfinite():
        loss.backward()
        optimizer.step()


def _told(steps: tuple[bool, ...]) -> list[Nonfinite]:
    model = mlp(3, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer, nodes="always") as seen:
        for bad in steps:
            _step(model, optimizer, bad=bad)
    return seen.of(Nonfinite)


def test_a_batch_that_the_program_skips_is_told_of_with_its_step() -> None:
    """No backward is called, so nothing else would show it."""
    (event,) = _told((False, False, True, False, False))
    assert (event.backward, event.made_in, event.params) == (-1, 2, ())
    assert event.origins[0].op == "LogBackward0"


def test_the_last_batch_is_told_of_at_the_end() -> None:
    """No step comes after it."""
    (event,) = _told((False, True))
    assert event.made_in == 1


def test_a_loss_that_a_backward_runs_through_is_not_unused() -> None:
    """It is told of as what came out of that backward, once."""
    model = mlp(3, 3)
    with observe(model, nodes="always") as seen:
        part = torch.log(model(torch.ones(2, 3)).mean() * 0)
        (part + model(torch.ones(2, 3)).mean()).backward()
    (event,) = seen.of(Nonfinite)
    assert event.backward >= 0
