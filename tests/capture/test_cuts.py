"""Reentrant checkpoints over inputs that want no gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import CheckpointFunction, checkpoint

from graddebug.records import CheckpointCut
from tests.capture.observing import Seen, observe

pytestmark = pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")


class Net(nn.Module):
    """A block that is checkpointed and a head that is not."""

    def __init__(self, *, reentrant: bool = True) -> None:
        super().__init__()
        self.block, self.head = nn.Linear(4, 4), nn.Linear(4, 1)
        self.reentrant = reentrant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run both."""
        hidden: torch.Tensor = checkpoint(self.block, x, use_reentrant=self.reentrant)
        return self.head(hidden)  # type: ignore[no-any-return]


def seen_in(net: Net, *, wanted: bool = False, steps: int = 1) -> Seen:
    """A few steps on data, of which gradients may be wanted."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with observe(net, optimizer) as seen:
        for _ in range(steps):
            net(torch.randn(3, 4, requires_grad=wanted)).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    return seen


def test_what_ran_inside_is_told_once_a_window() -> None:
    """With the line of the checkpoint."""
    seen = seen_in(Net(), steps=3)
    events = seen.of(CheckpointCut)
    assert [seen.names(event.params) for event in events] == [["block.weight", "block.bias"]] * 3
    assert events[0].site is not None
    assert "checkpoint(self.block" in events[0].site.source


def test_others_cut_nothing() -> None:
    """A non-reentrant one, one over what wants a gradient, one around a frozen block, and one under no_grad."""
    frozen = Net()
    frozen.block.requires_grad_(False)
    assert seen_in(Net(reentrant=False)).of(CheckpointCut) == []
    assert seen_in(Net(), wanted=True).of(CheckpointCut) == []
    assert seen_in(frozen).of(CheckpointCut) == []
    net = Net()
    with observe(net) as seen, torch.no_grad():
        net(torch.randn(3, 4))
    assert seen.of(CheckpointCut) == []


def test_torch_is_given_back() -> None:
    """The class inherits its method again."""
    with observe(Net()):
        assert "apply" in vars(CheckpointFunction)
    assert "apply" not in vars(CheckpointFunction)
