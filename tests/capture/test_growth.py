"""Graphs that grow because they reach back into earlier steps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from graddebug.records import GraphGrew
from tests.capture.observing import Seen, observe

Carry = Callable[[torch.Tensor], torch.Tensor]


def seen_in(carry: Carry, *, steps: int = 7, longer: bool = False, every: int = 1) -> Seen:
    """Steps of a network whose output, after ``carry``, is part of the next step's loss."""
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with observe(model, optimizer) as seen:
        state = torch.zeros(1)
        for step in range(steps):
            for _ in range(step + 1 if longer else 1):
                state = 0.5 * state + model(torch.randn(4))
            state.square().sum().backward(retain_graph=True)
            state = carry(state)
            if step % every == every - 1:
                optimizer.step()
                optimizer.zero_grad()
    return seen


def test_what_is_carried_over_with_its_graph_grows() -> None:
    """Told from the fourth step in a row on, with the op that uses the old state."""
    events = seen_in(lambda state: state).of(GraphGrew)
    assert [(event.grown, event.reach) for event in events] == [(4, 5), (5, 6)]
    assert events[0].before < events[0].nodes < events[1].nodes
    assert events[0].op == "MulBackward0"
    assert events[0].op_site is not None
    assert events[0].op_site.source == "state = 0.5 * state + model(torch.randn(4))"


def test_what_is_detached_does_not() -> None:
    """The right program."""
    assert seen_in(torch.Tensor.detach).of(GraphGrew) == []


def test_longer_sequences_do_not() -> None:
    """A curriculum: every step's graph is larger, and all new."""
    assert seen_in(torch.Tensor.detach, longer=True, steps=9).of(GraphGrew) == []


def test_growth_within_a_step_does_not() -> None:
    """One optimizer step after five backwards, each through all before it."""
    kept = iter(range(1000))

    def until_the_step(state: torch.Tensor) -> torch.Tensor:
        return state.detach() if next(kept) % 5 == 4 else state

    assert seen_in(until_the_step, steps=30, every=5).of(GraphGrew) == []
