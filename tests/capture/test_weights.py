"""Weights that the program changes itself, outside of every optimizer's step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from graddebug.records import WeightsMoved
from tests.capture.observing import Seen, mlp, observe, train


def moved(seen: Seen) -> list[list[str]]:
    return [seen.names(event.params) for event in seen.of(WeightsMoved)]


def by_version(model: nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)


def by_data(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.data.add_(1)


def by_loading(model: nn.Module) -> None:
    model.load_state_dict({name: value + 1 for name, value in model.state_dict().items()})


WAYS: list[Callable[[nn.Module], None]] = [by_version, by_data, by_loading]


@pytest.mark.parametrize("move", WAYS)
def test_between_two_backwards(move: Callable[[nn.Module], None]) -> None:
    """All of an optimizer's parameters, by any way, told once."""
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with observe() as seen:
        train(model, optimizer)
        model(torch.ones(2, 4)).sum().backward()
        move(model)
        model(torch.ones(2, 4)).sum().backward()
    assert moved(seen) == [["weight", "bias"]]


@pytest.mark.parametrize("move", WAYS)
def test_what_no_optimizer_owns(move: Callable[[nn.Module], None]) -> None:
    """A part that is updated by hand beside an optimizer's; noticed at the run's end, too."""
    model = mlp(4, 3, 2)
    optimizer = torch.optim.SGD(model[0].parameters(), 0.1)
    with observe() as seen:
        train(model, optimizer)
        move(model[2])
    assert moved(seen) == [["2.weight", "2.bias"]]


@pytest.mark.parametrize("fused", [False, True])
def test_a_step_is_no_such_change(fused: bool) -> None:
    """Nor is what came before the first backward."""
    model = nn.Linear(4, 3)
    by_version(model)
    with observe() as seen:
        train(model, torch.optim.SGD(model.parameters(), 0.1, fused=fused), steps=3)
    assert moved(seen) == []


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")  # torch 2.8's own LBFGS
def test_a_closure_that_is_called_again() -> None:
    """LBFGS moves the weights between its closure's backwards: inside of its step."""
    model = nn.Linear(4, 3)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = model(torch.ones(2, 4)).square().sum()
        loss.backward()
        return loss

    with observe() as seen:
        for _ in range(2):
            optimizer.step(closure)
    assert moved(seen) == []
