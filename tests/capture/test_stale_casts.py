"""Copies in low precision that are older than the weights they stand for."""

from __future__ import annotations

import torch
from torch import nn

from graddebug.records import Backward
from tests.capture.observing import Seen, observe, train

BF16 = torch.bfloat16


def stale(seen: Seen) -> list[list[str]]:
    """The names by backward."""
    return [seen.names(event.stale_casts) for event in seen.of(Backward)]


def test_a_region_around_steps() -> None:
    """The first forward made the copies; a region inside of it keeps them, too."""
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as seen, torch.autocast("cpu", BF16):
        train(model, optimizer)
        train(model, optimizer)
        with torch.autocast("cpu", BF16):
            train(model, optimizer)
    assert stale(seen) == [[], ["weight", "bias"], ["weight", "bias"]]


def test_what_autocast_would_return_proves_it() -> None:
    """The twin: the copy that is used is not that of the weight."""
    model = nn.Linear(4, 2)
    x = torch.randn(3, 4)
    with torch.autocast("cpu", BF16):
        before = model(x)
        with torch.no_grad():
            model.weight += 1
        assert torch.equal(model(x), before)


def test_copies_of_a_region_that_has_ended_are_gone() -> None:
    """Steps inside a region each, a cache that is off, and steps outside."""
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as seen:
        for _ in range(2):
            with torch.autocast("cpu", BF16):
                train(model, optimizer)
        with torch.autocast("cpu", BF16, cache_enabled=False):
            train(model, optimizer, steps=2)
        train(model, optimizer)
    assert stale(seen) == [[]] * 5


def test_copies_that_a_late_backward_needs_are_no_stale_ones() -> None:
    """Two losses of one forward phase: nothing ran with the old copies after the step."""
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as seen, torch.autocast("cpu", BF16):
        first, second = model(torch.randn(3, 4)).sum(), model(torch.randn(3, 4)).sum()
        first.backward()
        optimizer.step()
        second.backward()
    assert stale(seen) == [[], []]
