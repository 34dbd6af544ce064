"""Numbers added to a loss that have lost their graph."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from graddebug.records import DetachedTerm
from tests.capture.observing import Seen, observe

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def seen_in(loss: Loss, *, steps: int = 6) -> Seen:
    """Steps whose loss is computed from an output and from a penalty on the weights."""
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer, nodes="always") as seen:
        for _ in range(steps):
            optimizer.zero_grad()
            penalty = model.weight.square().sum()
            loss(model(torch.randn(5, 4)).square().mean(), penalty).backward()
            optimizer.step()
    return seen


@pytest.mark.parametrize(
    ("loss", "factor"),
    [
        (lambda main, penalty: main + penalty.detach(), 1.0),
        (lambda main, penalty: main + 0.3 * penalty.item(), 0.3),
        (lambda main, penalty: (main - 2 * penalty.data) * 0.5, 2.0),
        (lambda main, penalty: 0.1 * torch.tensor(penalty.item()) + main, 0.1),
        (lambda main, penalty: torch.add(main, penalty.detach(), alpha=3), 1.0),
    ],
)
def test_a_multiple_of_what_a_line_computes_is_recognised(loss: Loss, factor: float) -> None:
    """However it lost its graph."""
    (event,) = seen_in(loss).of(DetachedTerm)
    assert event.factor == pytest.approx(factor, rel=1e-5)
    assert event.computed_at is not None
    assert event.computed_at.source == "penalty = model.weight.square().sum()"
    assert event.seen == 5


@pytest.mark.parametrize(
    "loss",
    [
        lambda main, penalty: main + penalty,
        lambda main, penalty: main + 1e-3,
        lambda main, penalty: main + torch.rand(()),
        lambda main, penalty: main + (torch.rand(()) - main).detach(),
        lambda main, penalty: main + penalty / penalty.detach(),
        lambda main, penalty: main + main.detach(),
        lambda main, penalty: main * penalty.detach(),
        lambda main, penalty: (main + penalty.detach()).exp(),
    ],
)
def test_other_numbers_are_none(loss: Loss) -> None:
    """With their graph, constant, of chance, straight through, a weight, or not added to the loss itself."""
    assert seen_in(loss).of(DetachedTerm) == []


def test_what_another_backward_trains_is_none() -> None:
    """A total for the log, on which backward is called, too."""
    model, probe = nn.Linear(4, 2), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*model.parameters(), *probe.parameters()], lr=0.1)
    with observe(optimizer, nodes="always") as seen:
        for step in range(12):
            optimizer.zero_grad()
            x = torch.randn(5, 4)
            main, other = model(x).square().mean(), probe(x).square().mean()
            total = main + other.detach()
            for loss in (other, total) if step % 2 else (total, other):
                loss.backward()
            optimizer.step()
    assert seen.of(DetachedTerm) == []
