"""What a program of the benchmark is, and what it declares about itself.

A program trains something small for a few steps, the last of which meets NaN or inf. It says what a good
debugger would: which op, at which line (the one with the mark ``# origin``), born how, and why.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

MARK = "# origin"

#: Where bad numbers come from: an op's backward or forward, the data, or weights that were bad before.
#: ``"nowhere"`` is for those that reach neither the loss nor a gradient: a good debugger is silent.
Born = Literal["backward", "forward", "data", "weights", "nowhere"]


@dataclass(frozen=True)
class Trial:
    """A program set up to run: ``step(number)`` is a step of its training, from 0.

    ``reset`` brings back what the steps changed, so that the same trouble can be met again.
    """

    step: Callable[[int], object]
    parameters: tuple[nn.Parameter, ...]
    keepers: tuple[Any, ...]  # optimizers and scalers: what has a state_dict
    _saved: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._saved.extend(p.detach().clone() for p in self.parameters)
        self._saved.extend(copy.deepcopy(keeper.state_dict()) for keeper in self.keepers)

    def reset(self) -> None:
        """Weights, optimizers and scalers as they were; no gradients."""
        with torch.no_grad():
            for parameter, saved in zip(self.parameters, self._saved, strict=False):
                parameter.copy_(saved)
                parameter.grad = None
        for keeper, saved in zip(self.keepers, self._saved[len(self.parameters) :], strict=True):
            keeper.load_state_dict(copy.deepcopy(saved))


@dataclass(frozen=True)
class Program:
    """A builder of trials and the answer that is expected about its last step.

    ``op`` is the autograd node's name, ``rules`` are those that may carry the answer, ``cause`` is in words,
    ``source`` a public case of the kind. The marked line is in ``where``, the builder unless said otherwise.
    """

    build: Callable[[], Trial]
    op: str
    born: Born
    cause: str
    rules: tuple[str, ...]
    source: str
    steps: int
    where: Callable[..., object]

    def start(self) -> Trial:
        """A trial, the same each time."""
        torch.manual_seed(0)
        return self.build()

    @property
    def name(self) -> str:
        """The builder's name."""
        return self.build.__name__

    @property
    def title(self) -> str:
        """The builder's first docstring line without its full stop."""
        return (self.build.__doc__ or "").partition("\n")[0].rstrip(".")

    @property
    def file(self) -> str:
        """The file of the guilty line."""
        return inspect.getsourcefile(self.where) or ""

    @property
    def line(self) -> int:
        """The guilty line, from its mark."""
        source, first = inspect.getsourcelines(self.where)
        (line,) = [number for number, text in enumerate(source, start=first) if text.rstrip().endswith(MARK)]
        return line


PROGRAMS: dict[str, Program] = {}

_RULES: dict[Born, tuple[str, ...]] = {
    "backward": ("GD501",),
    "forward": ("GD502",),
    "data": ("GD502",),
    "weights": ("GD506", "GD502"),
    "nowhere": (),
}


def program(
    op: str,
    born: Born,
    cause: str,
    *,
    rules: tuple[str, ...] = (),
    source: str = "",
    steps: int = 1,
    where: Callable[..., object] | None = None,
) -> Callable[[Callable[[], Trial]], Callable[[], Trial]]:
    """Enter a builder into `PROGRAMS` with the answer that is expected."""

    def enter(build: Callable[[], Trial]) -> Callable[[], Trial]:
        known = Program(build, op, born, cause, rules or _RULES[born], source, steps, where or build)
        assert known.name not in PROGRAMS
        PROGRAMS[known.name] = known
        return build

    return enter


def train(trained: nn.Module | Iterable[nn.Parameter], loss: Callable[[], Tensor], lr: float = 0.01) -> Trial:
    """The ordinary loop around a loss."""
    parameters = tuple(trained.parameters() if isinstance(trained, nn.Module) else trained)
    optimizer = torch.optim.SGD(parameters, lr=lr)

    def step(number: int) -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return Trial(step, parameters, (optimizer,))
