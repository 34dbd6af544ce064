"""Listening to capture: everything it tells, kept in lists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from graddebug.capture.capture import Capture
from graddebug.capture.context import Subjects
from graddebug.capture.measuring import NodesMode
from graddebug.capture.taps import close_taps, open_taps
from graddebug.graph import BackwardGraph
from graddebug.records import (
    STATISTICS,
    ErrorRaised,
    Event,
    ModuleTable,
    NodeTable,
    OptimizerInfo,
    ParameterInfo,
    StepRecord,
)

_E = TypeVar("_E", bound=Event)
Table = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@dataclass
class Seen:
    """What capture has told so far; also the observer it tells."""

    parameters: list[ParameterInfo] = field(default_factory=list)
    optimizers: list[OptimizerInfo] = field(default_factory=list)
    graphs: list[BackwardGraph] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    steps: list[StepRecord] = field(default_factory=list)
    tables: list[Table | None] = field(default_factory=list)
    node_tables: list[NodeTable] = field(default_factory=list)
    module_tables: list[ModuleTable] = field(default_factory=list)
    capture: Capture | None = None

    def parameter(self, info: ParameterInfo) -> None:
        self.parameters.append(info)

    def optimizer(self, info: OptimizerInfo) -> None:
        self.optimizers.append(info)

    def graph(self, graph: BackwardGraph) -> None:
        self.graphs.append(graph)

    def event(self, event: Event) -> None:
        self.events.append(event)

    def explain(self, event: ErrorRaised) -> list[str]:
        self.events.append(event)
        return [f"explained: {event.call}"]

    def step(self, record: StepRecord, statistics: Table | None) -> None:
        self.steps.append(record)
        self.tables.append(statistics)

    def nodes(self, table: NodeTable) -> None:
        self.node_tables.append(table)

    def modules(self, table: ModuleTable) -> None:
        self.module_tables.append(table)

    def of(self, kind: type[_E]) -> list[_E]:
        """All events of one kind, in program order."""
        return sorted((e for e in self.events if type(e) is kind), key=lambda event: event.order)

    def names(self, params: tuple[int, ...]) -> list[str]:
        """The names of parameters."""
        return [self.parameters[index].name for index in params]

    def value(self, statistic: str, *, step: int = 0, parameter: int = 0) -> float:
        """One number of a step's statistics table."""
        table = self.tables[step]
        assert table is not None
        return float(table[parameter, STATISTICS.index(statistic)])


@contextmanager
def observe(
    *subjects: nn.Module | torch.optim.Optimizer, nodes: NodesMode = "auto", **named: nn.Module
) -> Iterator[Seen]:
    """Watch some modules and optimizers (by default everything) and listen; a failure of ours fails the test."""
    seen = Seen()
    modules = {type(s).__name__: s for s in subjects if isinstance(s, nn.Module)} | named
    optimizers = {type(s).__name__: s for s in subjects if isinstance(s, torch.optim.Optimizer)}
    failures: list[Exception] = []
    capture = Capture(
        Subjects(modules, optimizers), seen, eager=False, nodes=nodes, on_failure=failures.append
    )
    seen.capture = capture
    open_taps(capture)
    try:
        yield seen
        capture.finish("finished", "")
    finally:
        close_taps(capture)
    if failures:
        raise failures[0]


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def train(model: nn.Module, optimizer: torch.optim.Optimizer, *, steps: int = 1, **options: Any) -> None:
    """An ordinary loop on random numbers."""
    for _ in range(steps):
        optimizer.zero_grad(**options)
        loss: Any = model(torch.randn(5, 4)).square().mean()
        loss.backward()
        optimizer.step()
