"""Recordings of mixed-precision training, made by hand through the real writer.

A classifier under float16 autocast, its loss scaled: every 40th step overflows from step 39 on, its
encoder's outputs creep towards the largest float16 number, and step 70 meets NaN in its head.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from graddebug.graph import BackwardGraph
from graddebug.records import (
    NODE_STATISTICS,
    Backward,
    Event,
    Forward,
    HalfMeasured,
    ModuleTable,
    NodeTable,
    OptimizerInfo,
    ScalerSeen,
    ScalerStep,
    ScalerUpdate,
    StepEnd,
    StepRecord,
)
from graddebug.trace.reader import Recording
from graddebug.trace.writer import TraceWriter
from tests.views.recordings import INFO, PARAMETERS, USED, graph, site, statistics

MODULES = ("encoder.0", "encoder.2", "head[bold]", "DigitNet")
BAD_STEP = 70
FIRST_SCALE = 65536.0
HEAD, LOSS = 2, 0


def mixed_graph() -> BackwardGraph:
    """The graph of `recordings.graph` as autocast makes it: linear layers in float16, the loss in float32."""
    plain = graph()
    lines = (site(12), site(11))

    def cast(index: int) -> str:
        return "float16" if plain.nodes[index].op in ("AddmmBackward0", "ReluBackward0") else "float32"

    nodes = tuple(
        replace(
            node,
            dtypes=(cast(node.index),),
            site=0 if node.index < HEAD else 1,
            op="ToCopyBackward0" if node.op == "TBackward0" else node.op,
            module=node.module.replace("head", MODULES[2]),
        )
        if node.parameter is None
        else node
        for node in plain.nodes
    )
    return BackwardGraph("77ab01", nodes, sites=lines)


def node_table(step: int) -> NodeTable:
    """The nodes of a step's backward: norms shrink on their way; in `BAD_STEP` the head sends NaN on."""
    nodes = mixed_graph().nodes
    values = np.full((len(nodes), len(NODE_STATISTICS)), np.nan, dtype=np.float32)
    norm = 1000.0 / (1 + np.arange(len(nodes)))
    values[:, 0], values[:, 1] = norm * 2, norm
    for node in nodes:
        if any("float16" in nodes[child].dtypes for child, _ in node.next):
            values[node.index, 2:] = norm[node.index] / 3 + step, 0.2, 0.01 * node.index
    if step == BAD_STEP:
        values[HEAD:, 0:2] = np.inf
        values[HEAD, 0] = norm[HEAD]
    return NodeTable(
        step=step, backward=step * 5 + 1, graph=mixed_graph().hash, scale=FIRST_SCALE, values=values
    )


def module_table(step: int) -> ModuleTable:
    """Outputs of modules: the encoder's grow, the root's are in float32."""
    absmax = np.array([10.0, 4 + 300.0 * step, 100.0, np.nan])
    values = np.column_stack([absmax * 9, absmax, np.log2(65504 / absmax), 0 * absmax]).astype(np.float32)
    values[3] = 50, np.nan, np.nan, 0
    return ModuleTable(step=step, modules=MODULES, dtypes=("float16",) * 3 + ("float32",), values=values)


def _events(step: int, *, skipped: bool, scale: float) -> list[Event]:
    order = 1 + step * 5
    half = HalfMeasured(
        step=step,
        order=order + 4,
        backward=order + 1,
        what="gradients",
        dtype="float16",
        absmax=3e4,
        op="AddmmBackward0",
        module="head[bold]",
        largest_at=site(11),
        elements=4096,
        zero_share=0.03,
        subnormal_share=0.12,
        flushed_share=0.004,
        lowest_exponent=-24,
        exponents=(1, 4, 20, 60, 90, 40, 6, 1),
        scale=scale,
    )
    return [
        Forward(step=step, order=order, site=site(11), module="DigitNet", params=USED, autocast="float16"),
        Backward(
            step=step,
            order=order + 1,
            site=site(13),
            written=USED,
            graph=mixed_graph().hash,
            scalers=(0,),
            scale=scale,
        ),
        ScalerStep(
            step=step, order=order + 2, site=site(15), scaler=0, optimizer=0, scale=scale, skipped=skipped
        ),
        ScalerUpdate(
            step=step, order=order + 3, scaler=0, before=scale, after=scale / 2 if skipped else scale
        ),
        half,
        StepEnd(step=step, order=order + 5),
    ]


def write_mixed(folder: Path, *, steps: int = 100, scaled: bool = True) -> Path:
    """Writes the run into ``folder``, which it gives back; without ``scaled``, no scaler was used."""
    writer = TraceWriter(folder, INFO)
    for info in PARAMETERS:
        writer.parameter(info)
    writer.optimizer(OptimizerInfo(index=0, name="optimizer", type="AdamW"))
    writer.graph(mixed_graph())
    scale = FIRST_SCALE
    for step in range(steps):
        skipped = step % 40 == 39
        _step(writer, step, skipped=skipped, scale=scale, scaled=scaled)
        scale = scale / 2 if skipped else scale
    writer.close()
    return folder


def _step(writer: TraceWriter, step: int, *, skipped: bool, scale: float, scaled: bool) -> None:
    if not step and scaled:
        writer.event(ScalerSeen(step=0, order=0, scaler=0, name="grad[red]scaler", scale=scale))
    for event in _events(step, skipped=skipped, scale=scale):
        if scaled or not isinstance(event, ScalerStep | ScalerUpdate):
            writer.event(event)
    writer.nodes(node_table(step))
    writer.modules(module_table(step))
    record = StepRecord(step=step, time=1.77e9 + step, duration=0.01, loss=1.0, graph=mixed_graph().hash)
    writer.commit(replace(record, scale=scale) if scaled else record, statistics(step))


def mixed(folder: Path, **choices: int | bool) -> Recording:
    """Writes a run and opens it."""
    return Recording.open(write_mixed(folder, **choices))  # type: ignore[arg-type]
