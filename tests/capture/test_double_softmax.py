"""Softmaxes that a graph shows to run into a log-softmax."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from graddebug.records import DoubleSoftmax
from tests.capture.observing import Seen, observe

Loss = Callable[[torch.Tensor], torch.Tensor]
Y = torch.zeros(5, dtype=torch.long)


def seen_in(loss: Loss) -> Seen:
    """Two backwards through a layer of 6 outputs over 5 rows."""
    model = nn.Linear(4, 6)
    with observe(model) as seen:
        for _ in range(2):
            loss(model(torch.randn(5, 4))).backward()
    return seen


def over_time(out: torch.Tensor) -> torch.Tensor:
    steps = [row.unsqueeze(0).softmax(-1) for row in out.unbind(0)]
    return F.cross_entropy(torch.stack(steps, 2)[0].T[None].mT, Y[None])


@pytest.mark.parametrize(
    "loss",
    [
        lambda out: F.cross_entropy(out.softmax(1), Y),
        lambda out: F.cross_entropy(out.softmax(-1).clone(), Y, label_smoothing=0.1),
        lambda out: F.cross_entropy(out.softmax(1)[1:3], Y[1:3]),
        lambda out: F.cross_entropy(out.softmax(1).double(), Y),
        lambda out: F.cross_entropy(torch.cat([out.softmax(1), out.relu().softmax(1)]), torch.cat([Y, Y])),
        over_time,
    ],
)
def test_a_softmax_into_cross_entropy_is_told_once(loss: Loss) -> None:
    """Directly, or moved about on the way."""
    (event,) = seen_in(loss).of(DoubleSoftmax)
    assert event.classes == 6
    assert event.site is not None
    assert event.site.source.endswith(".backward()")


@pytest.mark.parametrize(
    "loss",
    [
        lambda out: F.cross_entropy(out, Y),
        lambda out: F.cross_entropy(out.log_softmax(1), Y),
        lambda out: F.nll_loss(out.softmax(1).log(), Y),
        lambda out: F.cross_entropy(out.softmax(1) * 20, Y),
        lambda out: F.cross_entropy(out.softmax(1) @ torch.ones(6, 3), Y),
        lambda out: F.cross_entropy(out.softmax(0), Y),
        lambda out: F.cross_entropy(torch.cat([out.softmax(1), out]), torch.cat([Y, Y])),
        lambda out: F.kl_div(out.log_softmax(1), out.detach().softmax(1), reduction="sum"),
    ],
)
def test_other_ways_to_a_log_softmax_are_not_told(loss: Loss) -> None:
    """Scores, log-probabilities, a temperature, a layer between, and a softmax over another dimension."""
    assert seen_in(loss).of(DoubleSoftmax) == []
