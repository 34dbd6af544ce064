"""What a run hides is listed once, with its reason."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import nn

from graddebug import watch
from graddebug.capture import underscored
from graddebug.session import Run


def told(run: Run) -> list[str]:
    """What a run that is over says it could not see."""
    return [unseen.what for unseen in run.not_observable]


@pytest.fixture(autouse=True)
def _nothing_compiled_before(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test of this process may have compiled something: torch remembers that for good."""
    if "compiled" not in request.node.name:
        monkeypatch.setattr(underscored, "anything_compiled", lambda: False)


def loop(model: nn.Module, steps: int = 2) -> None:
    """Some right steps."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(3, 2)).sum().backward()
        optimizer.step()


def test_a_plain_loop_hides_nothing() -> None:
    """Where all was seen nothing is listed."""
    with watch(on_finding="silent") as run:
        loop(nn.Linear(2, 1))
    assert told(run) == []


def test_gradients_of_torch_func() -> None:
    """They are tensors of the program's own, and no backward wrote one."""
    with watch(on_finding="silent") as run:
        torch.func.grad(lambda x: (x * x).sum())(torch.ones(3))
    assert told(run) == ["gradients inside torch.func", "training"]


def test_weights_updated_by_hand() -> None:
    """No optimizer stepped, so nobody knows what the gradients became."""
    model = nn.Linear(2, 1)
    with watch(on_finding="silent") as run:
        model(torch.ones(3, 2)).sum().backward()
    assert told(run) == ["how weights are updated"]


def test_measuring_turned_off() -> None:
    """What was not asked for is named, so that its silence is not taken for a verdict."""
    with watch(on_finding="silent", nodes="off") as run:
        loop(nn.Linear(2, 1))
    assert told(run) == ["every op and node"]


def test_a_reentrant_checkpoint() -> None:
    """Its graph is missing in the one around it."""
    from torch.utils.checkpoint import checkpoint

    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = checkpoint(self.second, self.first(x), use_reentrant=True)
            return result

    with watch(on_finding="silent") as run:
        loop(Checkpointed())
    assert told(run) == ["graphs inside reentrant checkpoints"]


def test_an_optimizer_that_differentiates_by_itself() -> None:
    """It writes no gradient anywhere that could be looked at."""

    class Own(torch.optim.Optimizer):
        def __init__(self, params: list[nn.Parameter]) -> None:
            super().__init__(params, {})

        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            params = self.param_groups[0]["params"]
            grads = torch.autograd.grad(closure(), params)
            with torch.no_grad():
                for parameter, grad in zip(params, grads, strict=True):
                    parameter.sub_(grad, alpha=0.1)

    model = nn.Linear(2, 1)
    optimizer = Own(list(model.parameters()))
    with watch(on_finding="silent") as run:
        for _ in range(3):
            optimizer.step(lambda: model(torch.ones(3, 2)).square().sum())
    assert "gradients inside an optimizer's step" in told(run)


def test_a_compiled_model_is_watched_to_the_end() -> None:
    """Its ops are hidden, its gradients are not, and no failure of ours ends the watch."""
    with watch(on_finding="silent") as run:
        model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
        loop(cast(nn.Module, torch.compile(model, backend="aot_eager")), steps=5)
    assert told(run) == ["ops inside torch.compile", "calls inside compiled functions"]
    assert run.steps == 5
