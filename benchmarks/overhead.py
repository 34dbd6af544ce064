"""What watching costs: training steps with and without a watch, interleaved in one process.

    python benchmarks/overhead.py [--rounds N] [--threads N] [MODEL …]

Each round times a block of steps without and one with a watch that records, in changing order, and gives one
ratio of their medians; the result is the median ratio over all rounds, with its quartiles. The floor is what
reading every gradient and weight once for an L2 norm costs, which no watch that knows norms can avoid.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import graddebug

BLOCK_SECONDS = 0.4


@dataclass(frozen=True)
class Workload:
    """A model with its optimizer and one batch."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    batch: torch.Tensor

    def step(self) -> None:
        """An ordinary training step."""
        self.optimizer.zero_grad()
        output = self.model(self.batch)
        loss: Any = (output[0] if isinstance(output, tuple) else output).square().mean()
        loss.backward()
        self.optimizer.step()


def mlp() -> tuple[nn.Module, torch.Tensor]:
    layers = [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)]
    return nn.Sequential(*layers), torch.randn(128, 784)


def cnn() -> tuple[nn.Module, torch.Tensor]:
    blocks = [
        nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
        for a, b in ((3, 32), (32, 64), (64, 128))
    ]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(2048, 10)), torch.randn(64, 3, 32, 32)


def transformer() -> tuple[nn.Module, torch.Tensor]:
    layer = nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True)
    return nn.TransformerEncoder(layer, 6, enable_nested_tensor=False), torch.randn(8, 128, 256)


def lstm() -> tuple[nn.Module, torch.Tensor]:
    return nn.LSTM(64, 128, num_layers=2, batch_first=True), torch.randn(32, 40, 64)


def many() -> tuple[nn.Module, torch.Tensor]:
    return nn.Sequential(*(nn.Linear(16, 16) for _ in range(500))), torch.randn(8, 16)


MODELS: dict[str, Callable[[], tuple[nn.Module, torch.Tensor]]] = {
    "mlp": mlp,
    "cnn": cnn,
    "transformer": transformer,
    "lstm": lstm,
    "many": many,
}


def workload(name: str) -> Workload:
    """The named model with AdamW, the same each time."""
    torch.manual_seed(0)
    model, batch = MODELS[name]()
    return Workload(model, torch.optim.AdamW(model.parameters(), 1e-4), batch)


def seconds_a_step(act: Callable[[], None], steps: int) -> float:
    """Median seconds of ``steps`` calls."""
    times = []
    for _ in range(steps):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def watched(work: Workload, steps: int) -> float:
    """Seconds a step inside a watch that records, after the first steps, which describe the graph."""
    with (
        tempfile.TemporaryDirectory() as folder,
        graddebug.watch(work.model, work.optimizer, out=Path(folder) / "run", on_finding="silent"),
    ):
        seconds_a_step(work.step, 3)
        return seconds_a_step(work.step, steps)


def floor(work: Workload) -> float:
    """Seconds to read every gradient and every weight once."""
    parameters = [p.detach() for p in work.model.parameters()]
    gradients = [p.grad for p in work.model.parameters() if p.grad is not None]

    def read() -> None:
        torch._foreach_norm(parameters, 2)
        torch._foreach_norm(gradients, 2)

    return seconds_a_step(read, 20)


def measure(name: str, rounds: int) -> str:
    """One line of the table."""
    work = workload(name)
    once = seconds_a_step(work.step, 5)
    steps = max(5, int(BLOCK_SECONDS / once))
    plain, ratios = [], []
    for number in range(rounds):
        if number % 2:
            on, off = watched(work, steps), seconds_a_step(work.step, steps)
        else:
            off, on = seconds_a_step(work.step, steps), watched(work, steps)
        plain.append(off)
        ratios.append(on / off)
    low, middle, high = statistics.quantiles(ratios, n=4)
    base = statistics.median(plain)
    return (
        f"{name:12}  {base * 1e3:8.2f} ms  {middle:5.2f}x  ({low:.2f} to {high:.2f})  "
        f"{(middle - 1) * base * 1e3:7.2f} ms  {floor(work) * 1e3:7.2f} ms"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    print(f"torch {torch.__version__}, {asked.threads} threads, {asked.rounds} rounds")
    print(f"{'model':12}  {'plain step':>11}  {'ratio':>6}  {'quartiles':14}  {'cost':>10}  {'floor':>10}")
    for name in asked.models or MODELS:
        print(measure(name, asked.rounds), flush=True)


if __name__ == "__main__":
    main()
