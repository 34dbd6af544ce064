"""Losses and sums that a graph shows to have run in float16."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from graddebug.records import HalfReduction
from tests.capture.observing import Seen, observe

Loss = Callable[[torch.Tensor], torch.Tensor]


def seen_in(
    loss: Loss, *, half: bool = True, autocast: bool = False, dtype: torch.dtype = torch.float16
) -> Seen:
    """A backward through a layer of 40 outputs over 100 rows."""
    model = nn.Linear(4, 40)
    if half:
        model.to(dtype)
    with observe(model) as seen:
        for _ in range(2):
            x = torch.randn(100, 4, dtype=dtype if half else torch.float32)
            with torch.autocast("cpu", dtype, enabled=autocast):
                result = loss(model(x))
            result.backward()
    return seen


def cross_entropy(out: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(out, torch.zeros(100, dtype=torch.long))


def mean_squares(out: torch.Tensor) -> torch.Tensor:
    return out.square().mean()


def attention(out: torch.Tensor) -> torch.Tensor:
    return (out @ out.mT).softmax(-1).float().sum()


def critic(out: torch.Tensor) -> torch.Tensor:
    return F.relu(1 - out).mean()


@pytest.mark.parametrize(
    ("loss", "op", "is_loss", "elements"),
    [
        (cross_entropy, "NllLossBackward0", True, 4000),
        (lambda out: F.mse_loss(out, torch.zeros_like(out)), "MseLossBackward0", True, 4000),
        (torch.sum, "SumBackward0", False, 4000),
        (torch.norm, "LinalgVectorNormBackward0", False, 4000),
        (mean_squares, "MeanBackward0", False, 4000),
    ],
)
def test_what_runs_in_float16_is_told_once(loss: Loss, op: str, is_loss: bool, elements: int) -> None:
    """At the first backward of that structure."""
    (event,) = seen_in(loss).of(HalfReduction)
    assert (event.op, event.loss, event.elements) == (op, is_loss, elements)
    assert event.site is not None
    assert event.site.source == "result.backward()"


@pytest.mark.parametrize("loss", [attention, critic, lambda out: out.float().square().mean()])
def test_what_adds_up_in_float32_inside_is_not_told(loss: Loss) -> None:
    """A softmax, a mean, and what was cast before."""
    assert seen_in(loss).of(HalfReduction) == []


@pytest.mark.parametrize("loss", [cross_entropy, lambda out: F.mse_loss(out, torch.zeros(100, 40)), critic])
def test_losses_inside_autocast_are_float32(loss: Loss) -> None:
    """The right program."""
    assert seen_in(loss, half=False, autocast=True).of(HalfReduction) == []


@pytest.mark.parametrize("loss", [cross_entropy, torch.sum, mean_squares])
def test_bfloat16_is_left_alone(loss: Loss) -> None:
    """It has the range."""
    assert seen_in(loss, dtype=torch.bfloat16).of(HalfReduction) == []
