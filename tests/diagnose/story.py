"""A small language for telling the story of a training run as events."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graddebug.diagnose.engine import Engine
from graddebug.records import (
    STATISTICS,
    Backward,
    Clipped,
    ErrorRaised,
    Event,
    Finding,
    Forward,
    GradientsCleared,
    GradientsEdited,
    GraphReleased,
    ModulesInEval,
    OptimizerInfo,
    OptimizerOwns,
    OptimizerStep,
    OptimizerStepEnd,
    ParameterInfo,
    ParameterSet,
    ParametersUsed,
    QuietForwards,
    RunEnd,
    ScalerSeen,
    ScalerStep,
    ScalerUpdate,
    Severity,
    Site,
    StepRecord,
    TrainableChanged,
    Unscaled,
    WeightsMoved,
)

_SOURCES = {
    "zero_grad": "{0}.zero_grad()",
    "step": "{0}.step()",
    "backward": "loss.backward()",
}


def site(line: int, source: str = "") -> Site:
    """A line of train.py, with its source."""
    excerpt = (source,) if source else ()
    return Site("/home/ada/train.py", line, "train", excerpt=excerpt, excerpt_start=line)


@dataclass
class Story:
    """Tells events to an engine as capture would, and keeps track of what has a gradient.

    Parameters and optimizers are named by the caller; lines are line numbers of ``train.py``.
    """

    optimizers: dict[str, Sequence[str]]
    outside: Sequence[str] = ()
    origins: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    stock: bool = False
    own: bool = True

    def __post_init__(self) -> None:
        owned = [name for params in self.optimizers.values() for name in params]
        self.names = list(dict.fromkeys((*owned, *self.outside)))
        self.table = [self._info(index, name) for index, name in enumerate(self.names)]
        kinds = [
            OptimizerInfo(index=i, name=n, type="SGD", stock=self.stock)
            for i, n in enumerate(self.optimizers)
        ]
        self.engine = Engine(self.table, kinds)
        self.graded: set[int] = set()
        self.zero: set[int] = set()
        self.events: list[Event] = []
        self.order = -1
        self.step_number = 0
        for index in range(len(self.optimizers)):
            if self.own:
                self.tell(OptimizerOwns, optimizer=index, params=self.owned(index))

    def _info(self, index: int, name: str) -> ParameterInfo:
        return ParameterInfo(
            index=index,
            name=name,
            shape=self.shapes.get(name, (4, index + 1)),
            dtype=self.dtypes.get(name, "float32"),
            origin=self.origins.get(name, "module"),
            module=name.rpartition(".")[0],
        )

    def set(self, names: Collection[str] | None) -> ParameterSet:
        """Indices of names; None: all."""
        return tuple(sorted(self.names.index(n) for n in (self.names if names is None else names)))

    def owned(self, optimizer: int) -> ParameterSet:
        """What an optimizer owns."""
        return self.set(list(self.optimizers.values())[optimizer])

    def tell(self, kind: type[Event], *, at: int | None = None, source: str = "", **fields: Any) -> int:
        """Feed one event; returns its order."""
        self.order += 1
        where = None if at is None else site(at, source)
        event = kind(**{"step": self.step_number, "order": self.order, "site": where} | fields)
        self.events.append(event)
        self.engine.feed(event)
        return event.order

    def forward(
        self, params: Collection[str] | None = None, *, module: str = "model", at: int = 40, **f: Any
    ) -> int:
        """A watched module runs."""
        return self.tell(Forward, at=at, source="model(x)", module=module, params=self.set(params), **f)

    def used(self, params: Collection[str] | None = None) -> None:
        """Modules run with gradients for the first time."""
        self.tell(ParametersUsed, params=self.set(params))

    def quiet(
        self, params: Collection[str], *, how: str = "graph", in_front: Collection[str] = (), **fields: Any
    ) -> None:
        """Modules run whose parameters no backward writes."""
        told = {"how": how, "in_front": self.set(in_front)} | fields
        self.tell(QuietForwards, at=60, source="self.encoder(x)", params=self.set(params), **told)

    def in_eval(self, *parts: str, params: Collection[str] | None = None, **fields: Any) -> None:
        """Parts of the model are in eval mode from here on."""
        inside = self.set(params) if parts else ()
        told = {"module": "model", "layers": ("Dropout",), "params": inside} | fields
        self.tell(ModulesInEval, parts=parts, **told)

    def backward(self, params: Collection[str] | None = None, *, at: int = 41, **fields: Any) -> int:
        """``loss.backward()`` writes parameters."""
        written = self.set(params)
        if fields.get("accumulates", True):
            self.graded |= set(written)
            self.zero -= set(written)
        else:
            written = ()
        told = {"written": written, "reached": self.set(params), "nodes": 9} | fields
        return self.tell(Backward, at=at, source="loss.backward()", **told)

    def clear(
        self,
        optimizer: str | None = None,
        *,
        params: Collection[str] | None = None,
        at: int | None = 39,
        to_none: bool = True,
        how: str = "optimizer.zero_grad",
    ) -> None:
        """Gradients are cleared: an optimizer's, or some."""
        index = None if optimizer is None else list(self.optimizers).index(optimizer)
        asked = self.set(params) if index is None or params is not None else self.owned(index)
        real = tuple(p for p in asked if p in self.graded)
        owner = optimizer or "model"
        self.graded -= set(real) if to_none else set()
        self.zero |= set() if to_none else set(real)
        if real:
            fields = {"params": real, "how": how, "to_none": to_none, "owner": owner, "optimizer": index}
            seen = {} if at else {"noticed_at": site(41, "loss.backward()")}
            self.tell(GradientsCleared, at=at, source=f"{owner}.zero_grad()", **fields, **seen)

    def edit(self, params: Collection[str] | None = None, *, how: str = "in place") -> None:
        """Gradients are changed by hand."""
        self.graded |= set(self.set(params))
        self.zero -= set(self.set(params))
        self.tell(GradientsEdited, params=self.set(params), how=how, noticed_at=site(42))

    def move(self, params: Collection[str] | None = None) -> None:
        """Weights are changed by hand."""
        self.tell(WeightsMoved, params=self.set(params))

    def clip(self, params: Collection[str] | None = None, *, at: int = 42, **fields: Any) -> None:
        """``clip_grad_norm_`` runs."""
        real = tuple(p for p in self.set(params) if p in self.graded)
        self.tell(
            Clipped,
            at=at,
            source="clip_grad_norm_(params, 1.0)",
            params=real,
            function="clip_grad_norm_",
            **fields,
        )

    def step(self, optimizer: str = "optimizer", *, at: int = 43, **fields: Any) -> int:
        """An optimizer steps and returns."""
        begin = self.enter(optimizer, at=at, **{k: v for k, v in fields.items() if k not in _END})
        self.leave(begin, optimizer, at=at, **{k: v for k, v in fields.items() if k in _END})
        return begin

    def enter(self, optimizer: str = "optimizer", *, at: int = 43, **fields: Any) -> int:
        """``step()`` is entered."""
        index = list(self.optimizers).index(optimizer)
        ready = tuple(p for p in self.owned(index) if p in self.graded)
        told = {
            "optimizer": index,
            "params": self.owned(index),
            "ready": ready,
            "zero": tuple(p for p in ready if p in self.zero),
            "lr": (0.1,),
        } | fields
        return self.tell(OptimizerStep, at=at, source=f"{optimizer}.step()", **told)

    def leave(self, begin: int, optimizer: str = "optimizer", *, at: int = 43, **fields: Any) -> None:
        """``step()`` returns."""
        index = list(self.optimizers).index(optimizer)
        ready = tuple(p for p in self.owned(index) if p in self.graded)
        told = {"optimizer": index, "begin": begin, "ready": ready} | fields
        self.tell(OptimizerStepEnd, at=at, source=f"{optimizer}.step()", **told)
        self.step_number += 1

    def scaler(self, name: str = "scaler", *, scaler: int = 0, scale: float = 1024.0, **fields: Any) -> None:
        """A loss scaler is used for the first time."""
        self.tell(ScalerSeen, scaler=scaler, name=name, scale=scale, **fields)

    def scaled(self, params: Collection[str] | None = None, *, at: int = 41, **fields: Any) -> int:
        """A backward of a scaled loss writes parameters."""
        return self.backward(params, at=at, **{"scalers": (0,), "scale": 1024.0} | fields)

    def unscale(self, optimizer: str = "optimizer", *, at: int = 42, **fields: Any) -> int:
        """``scaler.unscale_(optimizer)`` runs."""
        index = list(self.optimizers).index(optimizer)
        told = {"scaler": 0, "optimizer": index, "params": self.owned(index), "scale": 1024.0} | fields
        return self.tell(Unscaled, at=at, source=f"scaler.unscale_({optimizer})", **told)

    def scaler_step(
        self, optimizer: str = "optimizer", *, at: int = 43, unscaled: bool = False, skipped: bool = False
    ) -> None:
        """``scaler.step(optimizer)`` runs: it unscales unless that is done, and steps unless it is skipped."""
        index = list(self.optimizers).index(optimizer)
        if not unscaled:
            self.unscale(optimizer, at=at, implicit=True)
        begin = None if skipped else self.step(optimizer, at=at, scaler=0)
        told = {"params": self.owned(index), "skipped": skipped, "optimizer_step": begin, "scale": 1024.0}
        self.tell(ScalerStep, at=at, source=f"scaler.step({optimizer})", scaler=0, optimizer=index, **told)

    def update(self, *, at: int = 44, before: float = 1024.0, after: float = 1024.0) -> None:
        """``scaler.update()`` runs."""
        self.tell(ScalerUpdate, at=at, source="scaler.update()", scaler=0, before=before, after=after)

    def error(self, call: str, text: str, *, at: int, optimizer: str | None = "optimizer", **f: Any) -> None:
        """Torch raises."""
        index = None if optimizer is None else list(self.optimizers).index(optimizer)
        told = {"scaler": 0, "optimizer": index, "params": () if index is None else self.owned(index)} | f
        self.tell(ErrorRaised, at=at, source=f"{call}()", call=call, error="RuntimeError", text=text, **told)

    def measured(self, *, loss: float | None = None, **statistics: float | Mapping[str, float]) -> None:
        """The step that ended last was measured: a number for all parameters, or one each by name."""
        table = np.full((len(self.names), len(STATISTICS)), np.nan, dtype=np.float32)
        for statistic, given in statistics.items():
            numbers = given if isinstance(given, Mapping) else dict.fromkeys(self.names, given)
            for name, number in numbers.items():
                table[self.names.index(name), STATISTICS.index(statistic)] = number
        self.engine.measured(StepRecord(step=self.step_number - 1, time=0.0, duration=0.0, loss=loss), table)

    def freeze(self, params: Collection[str], *, frozen: bool = True) -> None:
        """``requires_grad`` changes."""
        self.tell(TrainableChanged, params=self.set(params), requires_grad=not frozen)

    def release(self, forward: int, *, module: str = "model", training: bool = False, **fields: Any) -> None:
        """A forward's graph dies without a backward."""
        self.tell(GraphReleased, forward=forward, module=module, training=training, **fields)

    def end(self, reason: str = "finished") -> None:
        """The watch is left."""
        self.tell(RunEnd, reason=reason)

    @property
    def findings(self) -> list[Finding]:
        """All findings so far."""
        return self.engine.findings

    def found(self, code: str) -> Finding:
        """The one finding of a rule; fails if there is none or more."""
        (finding,) = [f for f in self.findings if f.rule == code]
        return finding

    @property
    def codes(self) -> list[str]:
        """Codes of all findings, in order of appearance."""
        return [finding.rule for finding in self.findings]

    @property
    def alarms(self) -> list[str]:
        """What a correct program must not cause: warnings and errors."""
        return [f"{f.rule}: {f.message}" for f in self.findings if f.severity > Severity.NOTE]


_END = (
    *("skipped", "failed", "moved_idle", "holds_graph"),
    *("nonfinite_weights", "nonfinite_state", "state_entries", "eps"),
)
MODEL = ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")

Tell = Callable[..., Story]
Lines = Callable[[Finding], dict[str, int]]


def tell(*names: str, optimizers: dict[str, Sequence[str]] | None = None, **fields: Any) -> Story:
    owners = {"optimizer": names or MODEL} if optimizers is None else optimizers
    return Story(owners, **fields)  # type: ignore[arg-type]


def lines(finding: Finding) -> dict[str, int]:
    """Line numbers of a finding by role."""
    return {role.role: role.site.line for role in finding.roles}
