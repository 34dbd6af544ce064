"""Clips: what they were given, and whose the gradients are."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LinearLR, LRScheduler, OneCycleLR

from graddebug.records import Clipped, SchedulerStep
from tests.capture.observing import mlp, observe


def _grads(module: nn.Module) -> list[torch.Tensor]:
    return [p.grad for p in module.parameters() if p.grad is not None]


def test_a_call_without_gradients_is_told() -> None:
    """It was given parameters that have none yet."""
    model = nn.Linear(4, 1)
    with observe(model) as seen:
        clip_grad_norm_(model.parameters(), 0.5)
    (event,) = seen.of(Clipped)
    assert (event.params, event.without, event.strangers) == ((), (0, 1), 0)


def test_gradients_in_place_of_parameters() -> None:
    """They are told from other tensors."""
    model = nn.Linear(4, 1)
    with observe(model) as seen:
        model(torch.ones(2, 4)).sum().backward()
        clip_grad_norm_(_grads(model), 0.5)
        clip_grad_norm_([torch.ones(1)], 0.5)
    gradients, other = seen.of(Clipped)
    assert (gradients.params, gradients.strangers, gradients.gradients) == ((), 2, True)
    assert (other.params, other.strangers, other.gradients) == ((), 1, False)


def test_the_clip_of_another_model_is_not_ours() -> None:
    """Only one of two is watched."""
    model, other = nn.Linear(4, 1), nn.Linear(4, 1)
    with observe(model) as seen:
        clip_grad_norm_(other.parameters(), 0.5)
        other(torch.ones(2, 4)).sum().backward()
        clip_grad_norm_(other.parameters(), 0.5)
    assert seen.of(Clipped) == []


def test_norms_of_several_owners() -> None:
    """What belongs to one optimizer, to another and to none, before the clip."""
    model = mlp(4, 3, 3, 2)
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    sgd, adam = torch.optim.SGD(layers[0].parameters()), torch.optim.Adam(layers[1].parameters())
    with observe(model, sgd, adam) as seen:
        model(torch.randn(2, 4)).square().sum().backward()
        norms = [float(nn.utils.get_total_norm(_grads(layer))) for layer in layers]
        clip_grad_norm_(model.parameters(), 1e-3)
    (event,) = seen.of(Clipped)
    assert event.owners == (0, 1, -1)
    assert event.norms == pytest.approx(norms, rel=1e-5)


def test_one_owner_needs_no_norms() -> None:
    """As in most programs."""
    model = mlp(4, 3, 2)
    with observe(model, torch.optim.SGD(model.parameters(), lr=0.1)) as seen:
        model(torch.randn(2, 4)).square().sum().backward()
        clip_grad_norm_(model.parameters(), 1.0)
    (event,) = seen.of(Clipped)
    assert (event.owners, event.norms) == ((), ())


@pytest.mark.parametrize(
    ("kind", "fields", "planned"),
    [
        (ExponentialLR, {"gamma": 0.9}, None),
        (LinearLR, {"total_iters": 5}, None),
        (CosineAnnealingLR, {"T_max": 7}, 7),
        (OneCycleLR, {"max_lr": 0.1, "total_steps": 9}, 9),
    ],
)
def test_what_a_schedule_says_of_its_length(
    kind: type[LRScheduler], fields: dict[str, float], planned: int | None
) -> None:
    """Where it ends, and how far it is."""
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = kind(optimizer, **fields)  # type: ignore[arg-type]
    with observe(model, optimizer) as seen:
        model(torch.ones(2, 4)).sum().backward()
        optimizer.step()
        schedule.step()
    (event,) = seen.of(SchedulerStep)
    assert (event.done, event.planned) == (1, planned)
