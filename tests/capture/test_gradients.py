"""The life of a gradient, read from state: all the ways to clear, to assign, to edit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from graddebug.records import GradientsCleared, GradientsEdited
from tests.capture.observing import Seen, observe


def set_to_none(model: nn.Linear, _: torch.optim.Optimizer) -> None:
    for parameter in model.parameters():
        parameter.grad = None


def delete(model: nn.Linear, _: torch.optim.Optimizer) -> None:
    for parameter in model.parameters():
        del parameter.grad


def zero_in_place(model: nn.Linear, _: torch.optim.Optimizer) -> None:
    for parameter in model.parameters():
        assert parameter.grad is not None
        parameter.grad.zero_()


def zero_data(model: nn.Linear, _: torch.optim.Optimizer) -> None:
    for parameter in model.parameters():
        assert parameter.grad is not None
        parameter.grad.data.zero_()


def multiply_by_zero(model: nn.Linear, _: torch.optim.Optimizer) -> None:
    for parameter in model.parameters():
        assert parameter.grad is not None
        parameter.grad.mul_(0)


def by_optimizer(_: nn.Linear, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()


def by_optimizer_to_zero(_: nn.Linear, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=False)


def by_module(model: nn.Linear, _: torch.optim.Optimizer) -> None:
    model.zero_grad()


Clear = Callable[[nn.Linear, torch.optim.Optimizer], None]
WAYS: list[tuple[Clear, str, bool]] = [
    (by_optimizer, "optimizer.zero_grad", True),
    (by_optimizer_to_zero, "optimizer.zero_grad", False),
    (by_module, "module.zero_grad", True),
    (set_to_none, "set to None", True),
    (delete, "set to None", True),
    (zero_in_place, "zeroed", False),
    (zero_data, "zeroed", False),
    (multiply_by_zero, "zeroed", False),
]


def cycle(change: Clear, *, stepped: bool = True, fused: bool = False) -> Seen:
    """A backward, a step if wanted, the change, and another backward."""
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=fused)
    with observe(model, optimizer) as seen:
        model(torch.ones(3, 4)).sum().backward()
        if stepped:
            optimizer.step()
        change(model, optimizer)
        model(torch.ones(3, 4)).sum().backward()
    return seen


@pytest.mark.parametrize("stepped", [True, False], ids=["consumed", "unused"])
@pytest.mark.parametrize(("clear", "how", "to_none"), WAYS, ids=[way[0].__name__ for way in WAYS])
def test_every_way_to_clear_is_one_event(clear: Clear, how: str, to_none: bool, stepped: bool) -> None:
    """Of both parameters, whether a step has used the gradients or not."""
    seen = cycle(clear, stepped=stepped)
    (event,) = seen.of(GradientsCleared)
    assert (event.how, event.to_none, event.params) == (how, to_none, (0, 1))
    assert (event.site is None) is (how in ("set to None", "zeroed"))
    assert seen.of(GradientsEdited) == []


def test_a_clear_behind_the_counters_is_seen_after_a_fused_step() -> None:
    """Neither the fused step nor .data moves a version."""
    (event,) = cycle(zero_data, fused=True).of(GradientsCleared)
    assert event.params == (0, 1)


def test_the_line_that_clears_is_named_with_its_owner() -> None:
    """A call is known by its own line."""
    (event,) = cycle(by_optimizer).of(GradientsCleared)
    assert event.site is not None
    assert (event.site.source, event.owner) == ("optimizer.zero_grad()", "SGD")


def test_clearing_nothing_is_no_event() -> None:
    """A first zero_grad finds no gradient."""
    model = nn.Linear(4, 2)
    with observe(model) as seen:
        model.zero_grad()
    assert seen.of(GradientsCleared) == []


def test_another_tensor_is_an_assignment() -> None:
    """PCGrad and its kin put their own gradient in place."""

    def assign(model: nn.Linear, _: torch.optim.Optimizer) -> None:
        model.weight.grad = torch.ones_like(model.weight)

    (event,) = cycle(assign).of(GradientsEdited)
    assert (event.how, event.params) == ("assigned", (0,))


def test_a_tensor_of_zeros_is_a_clear() -> None:
    """`p.grad = torch.zeros_like(p)` clears as well."""

    def assign(model: nn.Linear, _: torch.optim.Optimizer) -> None:
        model.weight.grad = torch.zeros_like(model.weight)

    seen = cycle(assign)
    assert [(e.how, e.params) for e in seen.of(GradientsCleared)] == [("zeroed", (0,))]


@pytest.mark.parametrize("through_data", [False, True])
def test_an_edit_in_place_is_told(through_data: bool) -> None:
    """Of a used gradient also where no counter moved."""

    def halve(model: nn.Linear, _: torch.optim.Optimizer) -> None:
        assert model.weight.grad is not None
        (model.weight.grad.data if through_data else model.weight.grad).mul_(0.5)

    (event,) = cycle(halve).of(GradientsEdited)
    assert (event.how, event.params) == ("in place", (0,))


def test_untouched_gradients_are_no_event() -> None:
    """The twin of all of the above."""
    seen = cycle(lambda model, optimizer: None)
    assert seen.of(GradientsCleared) + seen.of(GradientsEdited) == []
