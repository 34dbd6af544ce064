"""A small run of two parameters, written step by step."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from graddebug.graph import BackwardGraph, GraphNode, SavedTensor
from graddebug.records import (
    MODULE_STATISTICS,
    NODE_STATISTICS,
    STATISTICS,
    Backward,
    Event,
    Finding,
    GradientsCleared,
    ModuleTable,
    NodeTable,
    OptimizerInfo,
    OptimizerStep,
    ParameterInfo,
    Role,
    RunInfo,
    Severity,
    Site,
    StepRecord,
)
from graddebug.trace import TraceWriter

BACKWARD = Site("train.py", 12, "main", excerpt=("    loss = f(x)", "    loss.backward()"), excerpt_start=11)
STEP = Site("train.py", 13, "main")
GRAPH = BackwardGraph(
    "00ff",
    (
        GraphNode(index=0, op="MseLossBackward0", next=((1, 0),)),
        GraphNode(
            index=1, op="AddmmBackward0", module="fc", saved=(SavedTensor("mat1", (4, 2), "float32", 32),)
        ),
    ),
)
INFO = RunInfo(created="2025-01-01", graddebug="0.1.0", torch="2.13.0", python="3.11.7", argv=("train.py",))


def events_of(step: int) -> list[Event]:
    """The three events of a step of the small run."""
    order = step * 3
    return [
        Backward(
            step=step, order=order, site=BACKWARD, written=(0, 1), reached=(0, 1), loss=1.0 / (step + 1)
        ),
        OptimizerStep(
            step=step, order=order + 1, site=STEP, optimizer=0, params=(0, 1), ready=(0, 1), lr=(0.1,)
        ),
        GradientsCleared(step=step, order=order + 2, params=(0, 1), how="optimizer.zero_grad"),
    ]


def table_of(step: int, parameters: int = 2) -> npt.NDArray[np.float32]:
    """A table of statistics that differs at every place and step."""
    places = np.arange(parameters * len(STATISTICS), dtype=np.float32)
    return (step * 1000 + places).reshape(parameters, len(STATISTICS))


def nodes_of(step: int, rows: int = 2) -> NodeTable:
    """A table of nodes that differs at every place and step."""
    values = (
        np.arange(rows * len(NODE_STATISTICS), dtype=np.float32).reshape(rows, len(NODE_STATISTICS))
        + step * 100
    )
    return NodeTable(step=step, backward=step * 3, graph=GRAPH.hash, scale=float("inf"), values=values)


def modules_of(step: int) -> ModuleTable:
    """A table of modules that differs at every place and step."""
    values = np.arange(2 * len(MODULE_STATISTICS), dtype=np.float32).reshape(2, -1) + step * 100
    return ModuleTable(step=step, modules=("fc", "head"), dtypes=("float16", "float32"), values=values)


def same(one: NodeTable | ModuleTable, other: NodeTable | ModuleTable) -> bool:
    """Whether two tables are equal in every field."""
    return type(one) is type(other) and all(
        np.array_equal(getattr(one, field.name), getattr(other, field.name))
        for field in dataclasses.fields(one)
    )


def finding(count: int = 1, **changes: object) -> Finding:
    """A finding with a count."""
    fields: dict[str, object] = {
        "id": "GD101-1",
        "rule": "GD101",
        "slug": "gradients-never-cleared",
        "severity": Severity.ERROR,
        "message": "gradients of 2 parameters pile up",
        "fix": "call optimizer.zero_grad()",
        "first_step": 1,
        "last_step": count,
        "count": count,
        "parameters": ("fc.weight",),
        "roles": (Role("backward", BACKWARD),),
        "evidence": {"ratio": 2.5, "norm": float("inf"), "steps": [1, 2]},
    }
    return Finding(**(fields | changes))  # type: ignore[arg-type]


class SmallRun:
    """Writes the small run."""

    def __init__(self, folder: Path, *, size_cap: int = 2 * 2**30) -> None:
        self.folder = folder
        self.writer = TraceWriter(folder, INFO, size_cap=size_cap)
        self.add_parameters(2)
        self.writer.optimizer(OptimizerInfo(index=0, name="optimizer", type="SGD"))
        self.writer.graph(GRAPH)
        self.next_step = 0

    def add_parameters(self, count: int, start: int = 0) -> None:
        """Add parameters from an index on."""
        for index in range(start, start + count):
            self.writer.parameter(ParameterInfo(index=index, name=f"p{index}", shape=(2, 2), dtype="float32"))

    def measured(self, *steps: int) -> SmallRun:
        """Measure a backward and the modules of so many steps."""
        for step in steps:
            self.writer.nodes(nodes_of(step))
            self.writer.modules(modules_of(step))
        return self

    def steps(self, count: int, parameters: int = 2) -> SmallRun:
        """Commit so many more steps."""
        for step in range(self.next_step, self.next_step + count):
            for event in events_of(step):
                self.writer.event(event)
            self.writer.commit(record_of(step), table_of(step, parameters))
        self.next_step += count
        return self


def record_of(step: int) -> StepRecord:
    """The record of a step of the small run."""
    return StepRecord(step=step, time=1e9 + step, duration=0.5, loss=1.0 / (step + 1), graph="00ff")
