"""Who owns what, and under which name."""

from __future__ import annotations

import torch
from torch import nn

from graddebug.records import GradientsCleared, OptimizerOwns, ParametersUnregistered
from tests.capture.observing import observe


def test_a_module_that_runs_after_anothers_backward_names_its_parameters() -> None:
    """A GAN's generator runs after the discriminator's first backward, and keeps its own names."""
    first, second = nn.Linear(2, 1), nn.Linear(2, 1)
    optimizers = [torch.optim.SGD(module.parameters(), lr=0.1) for module in (first, second)]
    with observe() as seen:
        for module, optimizer in zip((first, second), optimizers, strict=True):
            for known in optimizers:
                known.zero_grad()
            module(torch.ones(1, 2)).sum().backward()
            optimizer.step()
    assert {info.origin for info in seen.parameters} == {"module"}


def test_optimizers_are_counted_in_the_order_of_their_first_use() -> None:
    """One that waits, or is dropped unused, leaves no gap."""
    first, second = nn.Linear(2, 1), nn.Linear(2, 1)
    with observe() as seen:
        waiting = torch.optim.Adam(first.parameters(), lr=0.1)
        torch.optim.SGD(second.parameters(), lr=0.1)
        used = torch.optim.SGD(second.parameters(), lr=0.1)
        for module, optimizer in ((second, used), (first, waiting)):
            module(torch.ones(1, 2)).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    assert [(one.index, one.type) for one in seen.optimizers] == [(0, "SGD"), (1, "Adam")]
    assert [event.optimizer for event in seen.of(GradientsCleared)] == [0, 1]


def test_a_parameter_that_its_own_forward_replaces_has_left() -> None:
    """A codebook that is averaged anew in each forward."""

    class Codebook(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.codes = nn.Parameter(torch.ones(2))
            self.scale = nn.Parameter(torch.ones(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.codes = nn.Parameter(self.codes.detach() * 0.9)
            return x * self.scale

    model = Codebook()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe() as seen:
        for _ in range(3):
            model(torch.ones(2)).sum().backward()
            optimizer.step()
    left = {name for event in seen.of(ParametersUnregistered) for name in seen.names(event.params)}
    assert "codes" in left


def test_groups_and_classes_are_told() -> None:
    """In which group each parameter is, and whether the class is torch's own."""

    class Own(torch.optim.SGD):
        """A subclass, whose step may be another."""

    one, other = nn.Linear(2, 2), nn.Linear(2, 1)
    groups = [{"params": other.parameters(), "lr": 0.0}, {"params": one.parameters()}]
    with observe(one=one, other=other) as seen:
        for kind in (torch.optim.SGD, Own):
            optimizer = kind(groups, lr=0.1)  # type: ignore[arg-type]
            other(one(torch.randn(3, 2))).sum().backward()
            optimizer.step()
            groups = [{"params": [*one.parameters(), *other.parameters()]}]
    assert [info.stock for info in seen.optimizers] == [True, False]
    assert [event.groups for event in seen.of(OptimizerOwns)] == [(1, 1, 0, 0), ()]
