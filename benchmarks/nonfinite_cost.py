"""What `torch.autograd.detect_anomaly` and a watch of every node add to a step, interleaved."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from nonfinite_programs import Program, Trial
from torch import Tensor, nn
from torch.nn import functional as F

import graddebug


@dataclass(frozen=True)
class Cost:
    """Seconds of the bare step, and round by round what anomaly mode and graddebug add, as a share of it.

    ``nodes`` is the part of ``ours`` that measuring every node adds to a watch without it.
    """

    bare: float
    anomaly: list[float]
    ours: list[float]
    nodes: list[float]

    def share(self, added: list[float]) -> float:
        """An added cost as a share of anomaly mode's: the median over the rounds."""
        return statistics.median(one / anomaly for one, anomaly in zip(added, self.anomaly, strict=True))


def of_program(program: Program, *, rounds: int, repeats: int) -> Cost:
    """The program's own steps, bad one included, over and over from the same state.

    Anomaly mode is timed until it raises, which spares it the rest of that backward.
    """
    trial = program.start()

    def act() -> None:
        for number in range(program.steps):
            try:
                trial.step(number)
            except RuntimeError:  # anomaly mode has found something
                return

    return _interleaved(act, trial.reset, rounds=rounds, repeats=repeats)


def of_model(name: str, *, rounds: int, repeats: int) -> Cost:
    """Ordinary training steps of a model of `MODELS`."""
    torch.manual_seed(0)
    trial = MODELS[name]()
    return _interleaved(lambda: trial.step(0), lambda: None, rounds=rounds, repeats=repeats)


def _interleaved(act: Callable[[], object], reset: Callable[[], None], *, rounds: int, repeats: int) -> Cost:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _seconds(act, reset, repeats)
        modes = [_seconds, _under_anomaly_mode, _without_nodes, _with_nodes]
        bare, anomaly, ours, nodes = [], [], [], []
        for number in range(rounds):
            times = {mode: mode(act, reset, repeats) for mode in (modes if number % 2 else modes[::-1])}
            plain, mode, without, within = (times[mode] for mode in modes)
            bare.append(plain)
            anomaly.append(mode / plain - 1)
            ours.append(within / plain - 1)
            nodes.append((within - without) / plain)
    return Cost(statistics.median(bare), anomaly, ours, nodes)


def _seconds(act: Callable[[], object], reset: Callable[[], None], repeats: int) -> float:
    """Median seconds of a repetition; the state is brought back outside of the time."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
        reset()
    return statistics.median(times)


def _under_anomaly_mode(act: Callable[[], object], reset: Callable[[], None], repeats: int) -> float:
    with torch.autograd.set_detect_anomaly(True):
        return _seconds(act, reset, repeats)


def _with_nodes(act: Callable[[], object], reset: Callable[[], None], repeats: int) -> float:
    """Seconds inside a watch of every node, after two repetitions in which it gets to know the graph."""
    with graddebug.watch(nodes="always", on_finding="silent"):
        _seconds(act, reset, 2)
        return _seconds(act, reset, repeats)


def _without_nodes(act: Callable[[], object], reset: Callable[[], None], repeats: int) -> float:
    """The same with parameters and optimizers only."""
    with graddebug.watch(nodes="off", on_finding="silent"):
        _seconds(act, reset, 2)
        return _seconds(act, reset, repeats)


# --- ordinary models ---------------------------------------------------------------------------------


def _trial(model: nn.Module, batch: Tensor, labels: Tensor) -> Trial:
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)

    def step(number: int) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(batch), labels).backward()
        optimizer.step()

    return Trial(step, tuple(model.parameters()), (optimizer,))


def mlp() -> Trial:
    """784-256-256-10 on batches of 128."""
    layers = [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)]
    return _trial(nn.Sequential(*layers), torch.randn(128, 784), torch.randint(10, (128,)))


def cnn() -> Trial:
    """Three blocks of convolution, BatchNorm, ReLU and pooling on 32 pictures of 32 by 32."""
    blocks = [
        nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
        for a, b in ((3, 32), (32, 64), (64, 128))
    ]
    model = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(2048, 10))
    return _trial(model, torch.randn(32, 3, 32, 32), torch.randint(10, (32,)))


class Block(nn.Module):
    """A block of a GPT."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, width) to the same."""
        q, k, v = self.qkv(self.before(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + self.out(mixed)
        output: Tensor = x + self.mlp(self.between(x))
        return output


class GPT(nn.Module):
    """A small language model."""

    def __init__(self, words: int = 512, width: int = 128, layers: int = 4) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(64, width)
        self.blocks = nn.Sequential(*(Block(width, 4) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, time) to (batch * time, words)."""
        x = self.words(tokens) + self.places(torch.arange(tokens.shape[1]))
        scores: Tensor = self.head(self.norm(self.blocks(x))).flatten(0, 1)
        return scores


def gpt() -> Trial:
    """Four layers of 128 on 8 texts of 64 words."""
    return _trial(GPT(), torch.randint(512, (8, 64)), torch.randint(512, (512,)))


MODELS: dict[str, Callable[[], Trial]] = {"MLP": mlp, "CNN": cnn, "small GPT": gpt}
