"""Graphs that are alive after the step that back-propagated them, and what keeps them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from graddebug.records import GraphsKept
from tests.capture.observing import Seen, observe

Keep = Callable[[torch.Tensor], Any]


def seen_in(keep: Keep, *, steps: int = 14, forwards: int = 1) -> Seen:
    """Ordinary steps, after each of which the loss is handed to ``keep``."""
    body, head = nn.Linear(4, 3), nn.Linear(3, 1)
    optimizer = torch.optim.SGD([*body.parameters(), *head.parameters()], lr=0.01)
    with observe() as seen:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = torch.stack([head(body(torch.randn(4))) for _ in range(forwards)]).square().mean()
            loss.backward()
            optimizer.step()
            keep(loss)
    return seen


class Total:
    """A running sum, as an attribute."""

    def __init__(self, *, number: bool = False) -> None:
        self.value: Any = 0.0
        self.number = number

    def add(self, loss: torch.Tensor) -> None:
        """Add up."""
        self.value = self.value + (loss.item() if self.number else loss)


def told(seen: Seen) -> list[tuple[int, str]]:
    """How many past steps, and by what they are kept."""
    return [(event.graphs, event.held) for event in seen.of(GraphsKept)]


def test_a_running_sum_is_found_with_its_line() -> None:
    """Once for both modules, told again when there are half as many more."""
    seen = seen_in(Total().add)
    assert told(seen) == [(8, "sum"), (12, "sum")]
    event = seen.of(GraphsKept)[0]
    assert (event.name, event.oldest) == ("value", 0)
    assert event.kept_at is not None
    assert event.kept_at.source.startswith("self.value = self.value + ")


def test_a_list_is_found() -> None:
    """Of tensors, and of tuples of them."""
    losses: list[Any] = []
    assert told(seen_in(losses.append)) == [(8, "list"), (12, "list")]
    pairs: list[Any] = []
    assert told(seen_in(lambda loss: pairs.append((1, loss)))) == [(8, "list"), (12, "list")]


def test_numbers_keep_nothing() -> None:
    """The right programs: numbers, a detached copy, and one tensor at a time."""
    last: dict[str, torch.Tensor] = {}
    copies: list[torch.Tensor] = []
    for keep in (
        Total(number=True).add,
        lambda loss: last.update(loss=loss),
        lambda loss: copies.append(loss.detach()),
    ):
        assert told(seen_in(keep)) == []


def test_a_deque_with_an_end_is_not_told() -> None:
    """Its number does not grow for ever."""
    assert told(seen_in(deque[Any](maxlen=100).append, steps=30)) == []
    assert told(seen_in(deque[Any]().append)) == [(8, "deque"), (12, "deque")]


def test_garbage_is_not_told() -> None:
    """Graphs in cycles that nobody has collected yet."""

    def make_a_cycle(loss: torch.Tensor) -> None:
        cycle: list[Any] = [loss]
        cycle.append(cycle)

    assert told(seen_in(make_a_cycle)) == []


def test_many_forwards_of_one_step_are_not_told() -> None:
    """They are alive together, and die together."""
    assert told(seen_in(lambda _: None, forwards=30)) == []


def test_what_this_step_ran_through_is_not_told() -> None:
    """A state that is carried with its graph keeps the past alive, and backward runs through all of it."""
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with observe(model, optimizer) as seen:
        state = torch.zeros(1)
        for _ in range(14):
            state = 0.5 * state + model(torch.randn(4))
            state.square().sum().backward(retain_graph=True)
            optimizer.step()
            optimizer.zero_grad()
    assert told(seen) == []
