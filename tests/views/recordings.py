"""Recordings of a small training run, made by hand through the real writer.

The run is a classifier of digits whose loop forgets ``zero_grad``: from step 1 on, its optimizer
consumes gradients that it consumed before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from graddebug.graph import BackwardGraph, GraphNode, SavedTensor
from graddebug.records import (
    STATISTICS,
    Backward,
    Clipped,
    Event,
    Finding,
    Forward,
    GradientsCleared,
    NotObservable,
    OptimizerInfo,
    OptimizerOwns,
    OptimizerStep,
    OptimizerStepEnd,
    ParameterInfo,
    Role,
    RunInfo,
    Severity,
    Site,
    StepEnd,
    StepRecord,
)
from graddebug.trace.reader import Recording
from graddebug.trace.writer import TraceWriter

SOURCE = """\
import torch
from torch import nn
from torch.nn import functional as F


def train(model, loader, epochs):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()
    for epoch in range(epochs):
        for images, digits in loader:
            logits = model(images)
            loss = F.cross_entropy(logits, digits)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        print(f"epoch {epoch}: {loss.item():.3f}")
""".splitlines()

INFO = RunInfo(
    created="2026-03-01T09:30:00+00:00",
    graddebug="0.1.0",
    torch="2.13.0",
    python="3.11.9",
    argv=("train.py", "--epochs", "3"),
    cwd="/home/ada/digits",
    title="",
)

PARAMETERS = tuple(
    ParameterInfo(index=index, name=name, shape=shape, dtype="float32", module=module, module_type=kind)
    for index, (name, shape, module, kind) in enumerate(
        (
            ("encoder.0.weight", (64, 64), "encoder.0", "Linear"),
            ("encoder.0.bias", (64,), "encoder.0", "Linear"),
            ("encoder.2.weight", (32, 64), "encoder.2", "Linear"),
            ("encoder.2.bias", (32,), "encoder.2", "Linear"),
            ("head.weight", (10, 32), "head", "Linear"),
            ("head.bias", (10,), "head", "Linear"),
            ("aux[bold].weight", (10, 32), "aux[bold]", "Linear"),
        )
    )
)
USED = (0, 1, 2, 3, 4, 5)
OWNED = (0, 1, 2, 3, 4, 5, 6)


def site(line: int, function: str = "train") -> Site:
    """A line of `SOURCE`, with three lines around it."""
    start = max(1, line - 3)
    return Site("/home/ada/digits/train.py", line, function, "", tuple(SOURCE[start - 1 : line + 3]), start)


def graph() -> BackwardGraph:
    """The backward graph of the run's model: an encoder of two layers, and a head."""
    kept = SavedTensor("mat1", (32, 64), "float32", 8192)

    def node(index: int, op: str, module: str, shape: tuple[int, ...], *to: int) -> GraphNode:
        saved = (kept,) if op.startswith("Addmm") else ()
        return GraphNode(
            index=index,
            op=op,
            module=module,
            shapes=(shape,),
            dtypes=("float32",),
            saved=saved,
            next=tuple((child, 0) for child in to),
        )

    nodes = [
        node(0, "NllLossBackward0", "", (), 1),
        node(1, "LogSoftmaxBackward0", "", (32, 10), 2),
        node(2, "AddmmBackward0", "head", (32, 10), 3, 4, 5),
        _leaf(3, 5),
        node(4, "ReluBackward0", "encoder.3", (32, 32), 6),
        node(5, "TBackward0", "head", (32, 10), 7),
        node(6, "AddmmBackward0", "encoder.2", (32, 32), 8, 9, 10),
        _leaf(7, 4),
        _leaf(8, 3),
        node(9, "ReluBackward0", "encoder.1", (32, 64), 11),
        node(10, "TBackward0", "encoder.2", (64, 32), 12),
        node(11, "AddmmBackward0", "encoder.0", (32, 64), 13, 14),
        _leaf(12, 2),
        _leaf(13, 1),
        node(14, "TBackward0", "encoder.0", (64, 64), 15),
        _leaf(15, 0),
    ]
    return BackwardGraph(hash="3fa29c11d04be7a2", nodes=tuple(nodes))


def _leaf(index: int, parameter: int) -> GraphNode:
    shape = PARAMETERS[parameter].shape
    return GraphNode(
        index=index, op="AccumulateGrad", shapes=(shape,), dtypes=("float32",), parameter=parameter
    )


def findings(last: int) -> list[Finding]:
    """One of each severity, as the rules would word them."""
    names = tuple(info.name for info in PARAMETERS)
    return [
        Finding(
            id="GD204-1",
            rule="GD204",
            slug="never-receives-gradient",
            severity=Severity.WARNING,
            message="aux[bold].weight is owned by optimizer but received no gradient in 5 steps: its module "
            "never ran forward.",
            fix="Use aux[bold] in the forward pass, or leave its parameters out of the optimizer.",
            first_step=4,
            last_step=4,
            parameters=names[6:],
            roles=(Role("step", site(15)),),
            evidence={"windows": 5, "module_ran": False},
        ),
        Finding(
            id="GD101-1",
            rule="GD101",
            slug="stale-gradient",
            severity=Severity.ERROR,
            message="optimizer.step() consumed gradients that the step before had already consumed: "
            "nothing cleared them, so each backward adds to all the ones before.",
            fix="Call optimizer.zero_grad() before loss.backward() in each step.",
            first_step=1,
            last_step=last,
            count=last,
            parameters=names[:6],
            roles=(Role("backward", site(13)), Role("step", site(15))),
            evidence={"contributions": 2, "already_consumed": 1, "grad_norm": 1.9375},
        ),
        Finding(
            id="GD109-1",
            rule="GD109",
            slug="unconsumed-tail",
            severity=Severity.NOTE,
            message="Gradients were pending when the run ended.",
            fix="Step once more, or leave the last backward out.",
            first_step=last,
            last_step=last,
        ),
    ]


def events(step: int, order: int, *, clears: bool) -> list[Event]:
    """One step of the loop: forward, backward, clip, step; with ``clears``, ``zero_grad`` first."""
    loss = losses(step)
    told: list[Event] = [
        Forward(
            step=step, order=order, site=site(11), module="DigitNet", module_type="DigitNet", params=USED
        ),
        Backward(
            step=step,
            order=order + 2,
            site=site(13),
            written=USED,
            reached=USED,
            loss=loss,
            nodes=16,
            graph=graph().hash,
            forwards=(order,),
            root_op="NllLossBackward0",
        ),
        Clipped(
            step=step,
            order=order + 3,
            site=site(14),
            params=USED,
            function="clip_grad_norm_",
            max_norm=1.0,
            total_norm=1.94,
        ),
        OptimizerStep(
            step=step, order=order + 4, site=site(15), optimizer=0, params=OWNED, ready=USED, lr=(0.001,)
        ),
        OptimizerStepEnd(step=step, order=order + 5, site=site(15), optimizer=0, begin=order + 4),
        StepEnd(step=step, order=order + 6, loss=loss, duration=0.0142),
    ]
    cleared = GradientsCleared(
        step=step, order=order + 1, site=site(12), params=USED, how="optimizer.zero_grad", owner="optimizer"
    )
    return [told[0], cleared, *told[1:]] if clears and step else told


def losses(step: int) -> float:
    """A loss that falls with a wobble."""
    return float(2.3 * np.exp(-step / 60) + 0.12 + 0.08 * np.sin(step * 1.7))


def statistics(step: int, parameters: int = len(PARAMETERS)) -> np.ndarray:
    """(parameters, statistics) float32; the last parameter has no gradient at all."""
    index = np.arange(parameters)
    norm = np.exp(-step / 90) * (1 + 0.4 * np.sin(step / 7 + index)) / (1 + index % 11)
    table = np.full((parameters, len(STATISTICS)), np.nan, dtype=np.float32)
    columns = {
        "grad_norm": norm,
        "grad_norm_written": norm * 1.94,
        "grad_absmax": norm / 5,
        "grad_mean": norm / 1000 * np.cos(step),
        "grad_zero_share": index % 4 / 8 + 0 * norm,
        "grad_nonfinite": 0 * norm,
        "weight_norm": 4 + index % 5 + step / 100,
        "update_ratio": 1e-3 * np.exp(-step / 200) * (1 + index % 3),
        "changed_share": 1 - index % 2 * 0.03 + 0 * norm,
    }
    for name, values in columns.items():
        table[:, STATISTICS.index(name)] = values
    table[-1:, : STATISTICS.index("weight_norm")] = np.nan
    return table


def write(
    folder: Path,
    *,
    steps: int = 120,
    found: bool = True,
    clears: bool = False,
    graphs: bool = True,
    close: bool = True,
    parameters: int = len(PARAMETERS),
    bad_step: int | None = None,
    unseen: bool = False,
    tail: bool = False,
) -> Path:
    """Writes a run into ``folder``, which it gives back.

    In ``bad_step`` loss and gradients are NaN; with ``unseen``, something in step 0 is not observable;
    with ``tail``, a forward and a backward follow the last step, and the run is closed.
    """
    writer = TraceWriter(folder, INFO)
    for info in _parameters(parameters):
        writer.parameter(info)
    writer.optimizer(OptimizerInfo(index=0, name="optimizer", type="AdamW"))
    if graphs:
        writer.graph(graph())
    for step in range(steps):
        _step(
            writer,
            step,
            clears=clears,
            graphs=graphs,
            parameters=parameters,
            bad=step == bad_step,
            unseen=unseen,
        )
    for finding in findings(steps - 1) if found else ():
        writer.finding(finding)
    if tail:
        _add_tail(writer, steps)
    if close or tail:
        writer.close()
    return folder


def _add_tail(writer: TraceWriter, step: int) -> None:
    for event in events(step, 1 + step * 7, clears=False)[:2]:
        writer.event(event)


def _parameters(count: int) -> Iterator[ParameterInfo]:
    yield from PARAMETERS[:count]
    for index in range(len(PARAMETERS), count):
        name = f"blocks.{index // 4}.layer{index % 4}.weight"
        module, _, _ = name.rpartition(".")
        yield ParameterInfo(
            index=index, name=name, shape=(64, 64), dtype="float32", module=module, module_type="Linear"
        )


def _step(
    writer: TraceWriter,
    step: int,
    *,
    clears: bool,
    graphs: bool,
    parameters: int,
    bad: bool,
    unseen: bool,
) -> None:
    if step == 0 and unseen:
        reason = "it is compiled"
        writer.event(NotObservable(step=0, order=0, what="the operations of model", reason=reason))
    if step == 0:
        writer.event(OptimizerOwns(step=0, order=0, site=site(7), optimizer=0, params=OWNED))
    for event in events(step, 1 + step * 7, clears=clears):
        writer.event(event if graphs or not isinstance(event, Backward) else replace(event, graph=None))
    record = StepRecord(
        step=step,
        time=1.77e9 + step,
        duration=0.0142,
        loss=float("nan") if bad else losses(step),
        graph=graph().hash if graphs else None,
    )
    table = statistics(step, parameters)
    writer.commit(record, _poisoned(table) if bad else table)


def _poisoned(table: np.ndarray) -> np.ndarray:
    """The table with NaN in every gradient, as capture measures it."""
    for name in ("grad_norm", "grad_norm_written", "grad_absmax", "grad_mean"):
        table[:, STATISTICS.index(name)] = np.nan
    table[:, STATISTICS.index("grad_nonfinite")] = 3
    return table


def recorded(folder: Path, **choices: int | bool) -> Recording:
    """Writes a run and opens it."""
    return Recording.open(write(folder, **choices))  # type: ignore[arg-type]
