"""Modules that run while no backward writes their parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from graddebug.records import QuietForwards
from tests.capture.observing import Seen, observe


class Model(nn.Module):
    """An encoder that may be cut off in some way, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 4)
        self.head = nn.Linear(4, 1)
        self.cut = ""

    def forward(self, x: torch.Tensor) -> Any:
        if self.cut == "checkpoint":
            return self.head(checkpoint(self.encoder, x, use_reentrant=True))
        with torch.set_grad_enabled(self.cut != "no_grad"):
            hidden = self.encoder(x)
        return self.head(hidden.detach() if self.cut == "detach" else hidden)


def train(*cuts: str, freeze: bool = False) -> Seen:
    """One step for each cut ("": none)."""
    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as seen:
        for cut in cuts:
            model.cut = cut
            model.encoder.requires_grad_(not (freeze and cut))
            optimizer.zero_grad()
            model(torch.randn(3, 4)).square().mean().backward()
            optimizer.step()
    return seen


def told(seen: Seen) -> list[tuple[list[str], str, int, list[str]]]:
    """What was told, in order."""
    return [
        (seen.names(event.params), event.how, event.steps, seen.names(event.in_front))
        for event in seen.of(QuietForwards)
    ]


ENCODER, HEAD = ["encoder.weight", "encoder.bias"], ["head.weight", "head.bias"]


def test_ordinary_training_tells_nothing() -> None:
    """Every parameter gets a gradient in every stretch."""
    assert told(train(*[""] * 20)) == []


def test_a_detach_that_begins_later() -> None:
    """After a whole stretch without a gradient the next one is told of, and what lies in front."""
    assert told(train(*[""] * 8, *["detach"] * 20)) == [
        (ENCODER, "graph", 8, HEAD),
        (ENCODER, "graph", 4, HEAD),
    ]


def test_under_no_grad_from_the_first_step_on() -> None:
    """Stretches are short at first, so that a short run tells, too."""
    assert told(train(*["no_grad"] * 6)) == [
        (ENCODER, "no_grad", 1, []),
        (ENCODER, "no_grad", 2, []),
        (ENCODER, "no_grad", 2, []),
    ]


def test_a_line_that_ran_it_is_told() -> None:
    """The user's own line."""
    event = train(*["no_grad"] * 4).of(QuietForwards)[0]
    assert event.site is not None
    assert event.site.source == "hidden = self.encoder(x)"
    assert event.training


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_inside_of_a_reentrant_checkpoint() -> None:
    """It disables gradients, and none of its inputs wants one."""
    assert {how for _, how, *_ in told(train(*["checkpoint"] * 6))} == {"checkpoint"}


def test_frozen_parameters_are_not_told_of() -> None:
    """They are quiet because the program says so."""
    assert told(train(*[""] * 8, *["detach"] * 20, freeze=True)) == []


def test_seldom_is_not_never() -> None:
    """A gradient now and then, in each stretch."""
    assert told(train(*[""] * 8, *["", "detach", "detach", "detach"] * 6)) == []
