"""What a step leaves in weights and in the optimizer's own memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import graddebug
from graddebug import Finding


def findings(scale: float, **options: Any) -> list[Finding]:
    """Of two steps of Adam, with gradients of that size; one input is always 0."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), **options)
    x = torch.tensor([[0.0, 1.0, 2.0]])
    with graddebug.watch(model, optimizer, on_finding="silent") as run:
        for _ in range(2):
            optimizer.zero_grad()
            (model(x).sum() * scale).backward()
            optimizer.step()
    return run.findings


def test_a_second_moment_that_overflowed() -> None:
    """The weights stay finite and never move again."""
    (found,) = findings(1e25)
    assert (found.rule, found.evidence["state"], found.evidence["weights"]) == ("GD506", ["exp_avg_sq"], 0)


def test_an_eps_of_0() -> None:
    """The weight whose gradient is 0 becomes 0/0."""
    found = findings(1.0, eps=0.0)[0]
    assert (found.rule, found.evidence["weights"], found.evidence["eps"]) == ("GD506", 1, 0.0)


@pytest.mark.parametrize("scale", [1.0, 1e10])
def test_the_correct_twins(scale: float) -> None:
    """Large gradients whose squares fit."""
    assert [found for found in findings(scale) if found.rule == "GD506"] == []
