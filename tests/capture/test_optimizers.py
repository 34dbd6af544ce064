"""Steps of optimizers: what they own, find, apply and leave, at which line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from graddebug.records import Clipped, OptimizerStep, OptimizerStepEnd, StepEnd
from tests.capture.observing import Seen, mlp, observe, train


class Doubled(torch.optim.SGD):
    """A subclass whose step calls its parent's: torch's hooks run for both."""

    def step(self, closure: Any = None) -> Any:
        return super().step(closure)


def one_step(seen: Seen) -> OptimizerStep:
    (event,) = seen.of(OptimizerStep)
    return event


def test_what_a_step_finds() -> None:
    """Owned, with gradient, learning rates a group, the line."""
    model = mlp(4, 3, 2)
    groups: list[dict[str, Any]] = [
        {"params": model[0].parameters(), "lr": 0.5},
        {"params": model[2].parameters()},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.25)
    with observe(model, optimizer) as seen:
        model(torch.ones(2, 4)).sum().backward()
        model[0].bias.grad = None
        optimizer.step()  # here
    event = one_step(seen)
    assert seen.names(event.params) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert seen.names(event.ready) == ["0.weight", "2.weight", "2.bias"]
    assert event.lr == (0.5, 0.25)
    assert event.site is not None
    assert event.site.source == "optimizer.step()  # here"


def test_zero_and_nonfinite_gradients_are_told_apart() -> None:
    """By value, when the step is entered."""
    model = nn.ParameterList([torch.ones(2), torch.ones(2), torch.ones(2)])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for parameter, value in zip(model, (0.0, float("nan"), 1.0), strict=True):
        parameter.grad = torch.full((2,), value)
    with observe(model, optimizer) as seen:
        optimizer.step()
    assert (one_step(seen).zero, one_step(seen).nonfinite) == ((0,), (1,))


def test_a_subclass_that_calls_its_parents_step_steps_once() -> None:
    """Torch's hooks run twice, the optimizer steps once."""
    model = nn.Linear(4, 2)
    optimizer = Doubled(model.parameters(), lr=0.1)
    with observe(model, optimizer) as seen:
        train(model, optimizer, steps=3)
    assert len(seen.of(OptimizerStep)) == len(seen.of(OptimizerStepEnd)) == 3


def test_a_step_around_another_is_its_parent() -> None:
    """Wrappers such as SAM call the step of the optimizer inside."""
    model = nn.Linear(4, 2)

    class Outer(torch.optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {})
            self.inner = torch.optim.SGD(self.param_groups, lr=0.1)

        def step(self, closure: Any = None) -> Any:
            self.inner.step()

    optimizer = Outer(model.parameters())
    with observe() as seen:
        model(torch.ones(2, 4)).sum().backward()
        optimizer.step()
    outer, inner = seen.of(OptimizerStep)
    assert (outer.parent, inner.parent) == (None, outer.order)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW], ids=["sgd", "adamw"])
def test_a_fused_step_skipped_by_the_scaler_is_skipped(kind: Callable[..., torch.optim.Optimizer]) -> None:
    """Fused optimizers are entered with inf gradients and leave the weights alone."""
    model = nn.Linear(4, 2)
    optimizer = kind(model.parameters(), lr=0.1, fused=True)
    scaler = torch.amp.GradScaler("cpu")
    with observe(model, optimizer) as seen:
        for factor in (1.0, float("inf")):
            optimizer.zero_grad()
            scaler.scale(model(torch.ones(2, 4)).sum() * factor).backward()
            scaler.step(optimizer)
            scaler.update()
    assert [event.skipped for event in seen.of(OptimizerStepEnd)] == [False, True]


def test_an_unfused_step_skipped_by_the_scaler_is_none() -> None:
    """The scaler does not enter it."""
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    with observe(model, optimizer) as seen:
        scaler.scale(model(torch.ones(2, 4)).sum() * float("inf")).backward()
        scaler.step(optimizer)
        scaler.update()
    assert seen.of(OptimizerStep) == []


def test_a_step_that_raises_is_forgotten() -> None:
    """The next step is not taken for one inside of it."""
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def closure() -> float:
        raise ValueError("no batch")

    with observe(model, optimizer) as seen:
        with pytest.raises(ValueError, match="no batch"):
            optimizer.step(closure)
        train(model, optimizer)
    assert [event.parent for event in seen.of(OptimizerStep)] == [None, None]
    assert len(seen.of(OptimizerStepEnd)) == 1


def test_idle_parameters_that_move_are_told() -> None:
    """Momentum on a gradient of zeros moves what no backward wrote."""
    model = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.Linear(2, 1)})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with observe(model, optimizer) as seen:
        for parts in ("ab", "a"):
            optimizer.zero_grad(set_to_none=False)
            torch.stack([model[part](torch.ones(1, 2)).sum() for part in parts]).sum().backward()
            optimizer.step()
    assert [seen.names(event.moved_idle) for event in seen.of(OptimizerStepEnd)] == [
        [],
        ["b.weight", "b.bias"],
    ]


def test_clipping_is_told_with_its_numbers() -> None:
    """Also through a name imported before the watch."""
    from torch.nn.utils import clip_grad_norm_

    model = nn.Linear(4, 1)
    with observe(model) as seen:
        model(torch.ones(2, 4)).sum().backward()
        total = clip_grad_norm_(model.parameters(), 0.5)
        nn.utils.clip_grad_value_(model.parameters(), 0.1)
    by_norm, by_value = seen.of(Clipped)
    assert (by_norm.params, by_norm.max_norm, by_norm.total_norm) == ((0, 1), 0.5, total.item())
    assert (by_value.function, by_value.max_norm) == ("clip_grad_value_", None)


def test_steps_are_inferred_from_the_optimizers() -> None:
    """A step ends where the optimizer that stepped is used again; the forward before that is the next one's."""
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as seen:
        for _ in range(3):
            loss: Any = model(torch.ones(2, 4)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    by_step = [[event.kind for event in seen.events if event.step == step] for step in range(3)]
    assert by_step[1] == ["forward", "cleared", "backward", "step", "step_end", "step_over"]
    assert by_step[1] == by_step[2]


def test_two_optimizers_share_a_step() -> None:
    """A GAN's step has the discriminator's and the generator's."""
    a, b = nn.Linear(4, 2), nn.Linear(4, 2)
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.1) for net in (a, b)]
    with observe() as seen:
        for _ in range(3):
            for net, optimizer in zip((a, b), optimizers, strict=True):
                train(net, optimizer)
    assert [event.step for event in seen.of(OptimizerStep)] == [0, 0, 1, 1, 2, 2]
    assert len(seen.of(StepEnd)) == 3


def test_marked_steps_win() -> None:
    """Two optimizer steps in one marked step are one step."""
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as seen:
        assert seen.capture is not None
        for _ in range(2):
            seen.capture.begin_marked_step()
            train(model, optimizer, steps=2)
            seen.capture.end_marked_step()
    assert [record.step for record in seen.steps] == [0, 1]
    assert [event.step for event in seen.of(OptimizerStep)] == [0, 0, 1, 1]
