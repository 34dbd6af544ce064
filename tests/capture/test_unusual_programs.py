"""Programs with unusual tensors, modules and optimizers are seen as any other."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import nn

import graddebug
from tests.capture.small import assert_seen, model, sgd, train, unseen


def watch(*objects: object) -> graddebug.Run:
    """A watch that only collects."""
    return graddebug.watch(*objects, on_finding="silent")


@pytest.mark.parametrize("named", [True, False])
def test_lazy_modules(named: bool) -> None:
    """Parameters without a shape yet are watched from their first forward on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(2))
    with watch(*[module] if named else []) as run:
        module(torch.ones(5, 4))
        train(module, sgd(module))
    assert_seen(run, steps=3)


def test_double_precision_of_any_size() -> None:
    """Norms of large float64 gradients are taken as float64."""
    module = nn.Linear(4, 2000).double()
    optimizer = sgd(module)
    with watch(module, optimizer) as run:
        for _ in range(3):
            optimizer.zero_grad()
            module(torch.ones(5, 4, dtype=torch.float64)).pow(2).mean().backward()
            optimizer.step()
    assert_seen(run, steps=3)


def test_symbolic_tracing() -> None:
    """A module called with proxies, which answer to any attribute, is no output of ours to read."""
    module = model()
    optimizer = sgd(module)

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x)  # type: ignore[no-any-return]

    with watch(module, optimizer) as run:
        torch.fx.symbolic_trace(Outer())
        train(module, optimizer)
    assert_seen(run, steps=3)


def test_gradients_made_under_inference_mode() -> None:
    """Such tensors count no versions."""
    module = model()
    optimizer = sgd(module)
    with watch(module, optimizer) as run:
        with torch.inference_mode():
            for parameter in module.parameters():
                parameter.grad = torch.ones_like(parameter)
            optimizer.step()
        train(module, optimizer)
    assert unseen(run) == []


def test_function_with_a_name_of_its_own() -> None:
    """``ctx.name`` of a custom function may be anything."""

    class Named(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            ctx.name = "mine"
            return x * 2

        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
            return gradients[0] * 2

    module = model()
    optimizer = sgd(module)
    with watch(module, optimizer) as run:
        train(lambda x: Named.apply(module(x)), optimizer)  # type: ignore[no-untyped-call]
    assert_seen(run, steps=3)


def test_optimizer_that_is_not_initialised() -> None:
    """A wrapper that never called ``Optimizer.__init__``, and one whose ``__init__`` failed, are borne."""

    class Wrapper(torch.optim.Optimizer):
        def __init__(self, base: torch.optim.Optimizer) -> None:
            self.base = base
            self.param_groups = base.param_groups

        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            self.base.step()

        def zero_grad(self, set_to_none: bool = True) -> None:
            self.base.zero_grad()

    module = model()
    wrapper = Wrapper(sgd(module))
    unfinished = torch.optim.SGD.__new__(torch.optim.SGD)
    with watch() as run:
        train(module, wrapper)
    assert_seen(run, steps=3)
    del unfinished


@pytest.mark.parametrize("named", [True, False])
def test_module_that_means_something_else_by_parameters(named: bool) -> None:
    """``parameters()`` and ``named_parameters()`` of the user's own are not asked."""

    class Grouped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x)  # type: ignore[no-any-return]

        def parameters(self) -> Any:  # type: ignore[override]
            return [{"params": list(self.inner.parameters())}]

        def named_parameters(self) -> Any:  # type: ignore[override]
            return []

    module = Grouped()
    with watch(*[module] if named else []) as run:
        train(module, sgd(module))
    assert_seen(run, steps=3)


def test_compressed_sparse_parameter() -> None:
    """A parameter in CSR layout, whose gradient has that layout, is read through its values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weight = nn.Parameter(torch.eye(4).to_sparse_csr())
        module = nn.Module()
        module.weight = weight
        optimizer = torch.optim.SGD([weight], 0.1)
        with watch(module, optimizer) as run:
            for _ in range(2):
                optimizer.zero_grad()
                torch.sparse.mm(weight, torch.ones(4, 2)).sum().backward()
    assert unseen(run) == ["how weights are updated"]
