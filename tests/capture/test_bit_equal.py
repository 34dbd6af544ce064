"""Training is the same to the last bit, watched or not."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import graddebug


class Classifier(nn.Module):
    """Convolution, BatchNorm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Dropout(0.3), nn.Flatten()
        )
        self.head = nn.Linear(8 * 36, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.body(x.view(-1, 3, 8, 8)))
        return out


class Transformer(nn.Module):
    """Two encoder layers with dropout."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.encoder(x.view(-1, 12, 16)).mean(1))
        return out


class Recurrent(nn.Module):
    """An LSTM of two layers with dropout between them."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(16, 12, num_layers=2, dropout=0.2, batch_first=True)
        self.head = nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(x.view(-1, 12, 16))
        out: torch.Tensor = self.head(states[:, -1])
        return out


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(192, 32), nn.GELU(), nn.Linear(32, 5))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "mlp": perceptron,
    "cnn": Classifier,
    "transformer": Transformer,
    "lstm": Recurrent,
}
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd-momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-3),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-2),
    "adamw-fused": lambda p: torch.optim.AdamW(p, lr=1e-2, fused=True),
}


def tensors_of(thing: object) -> Iterator[torch.Tensor]:
    """Every tensor in nested dicts and lists."""
    if isinstance(thing, torch.Tensor):
        yield thing
    elif isinstance(thing, dict):
        for value in thing.values():
            yield from tensors_of(value)
    elif isinstance(thing, list | tuple):
        for value in thing:
            yield from tensors_of(value)


def trained(
    model: nn.Module, make_optimizer: Callable[[Any], torch.optim.Optimizer], *, out: Path | None
) -> list[torch.Tensor]:
    """Losses, gradients, weights, buffers, optimizer state and random state after eight steps with clipping."""
    torch.manual_seed(7)
    optimizer = make_optimizer(model.parameters())
    losses: list[torch.Tensor] = []

    def loop() -> None:
        for _ in range(8):
            optimizer.zero_grad()
            loss: Any = F.cross_entropy(model(torch.randn(6, 192)), torch.randint(5, (6,)))
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.detach().clone())

    if out is None:
        loop()
    else:
        with graddebug.watch(model, optimizer, out=out) as run:
            loop()
        assert (run.steps, run.findings) == (8, [])
    state = [model.state_dict(), optimizer.state_dict()]
    gradients = [parameter.grad for parameter in model.parameters()]
    return [*tensors_of([losses, gradients, state]), torch.get_rng_state()]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_watched_training_is_bit_equal(model: str, optimizer: str, tmp_path: Path) -> None:
    """Every loss, gradient, weight, buffer, moment and the random state."""
    torch.manual_seed(0)
    plain = MODELS[model]()
    watched = copy.deepcopy(plain)
    expected = trained(plain, OPTIMIZERS[optimizer], out=None)
    seen = trained(watched, OPTIMIZERS[optimizer], out=tmp_path / "run")
    assert len(expected) == len(seen)
    assert all(torch.equal(a, b) for a, b in zip(expected, seen, strict=True))


def test_the_comparison_can_fail() -> None:
    """One more draw from the random stream is noticed."""
    torch.manual_seed(0)
    first = perceptron()
    second = copy.deepcopy(first)
    expected = trained(first, OPTIMIZERS["adamw"], out=None)
    second.register_forward_pre_hook(lambda *_: (torch.rand(1), None)[1])
    seen = trained(second, OPTIMIZERS["adamw"], out=None)
    assert not all(torch.equal(a, b) for a, b in zip(expected, seen, strict=True))
