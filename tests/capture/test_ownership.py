"""Who owns what, and under which name."""

from __future__ import annotations

import torch
from torch import nn

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
