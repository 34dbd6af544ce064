"""Parameters that steps should have moved and did not: what GD207 and GD210 judge.

How far a step should move a weight is estimated from below: the learning rate times the gradient, and no more
than the learning rate, for SGD; the learning rate itself for torch's adaptive optimizers, which normalise.
Against it stands the distance from one number to the next in the parameter's dtype, at the typical size of
its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graddebug.diagnose.measured import Floats, Measured
from graddebug.ledger import Ledger, OptimizerLife
from graddebug.records import OptimizerStep, ParameterInfo

Bools = npt.NDArray[np.bool_]

#: Relative distance of two neighbouring numbers: 2 to the minus number of fraction bits (IEEE 754; bfloat16
#: keeps 7 of them).
SPACING = {"bfloat16": 2.0**-7, "float16": 2.0**-10, "float32": 2.0**-23, "float64": 2.0**-52}

#: Dtypes that lose updates of ordinary size.
LOW = ("bfloat16", "float16")

#: Optimizers of torch whose step has about the size of the learning rate, whatever the gradient's.
_NORMALISING = frozenset(("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "RMSprop"))

#: Below it an adaptive optimizer's eps (1e-8 by default) begins to count.
_ABOVE_EPS = 1e-6

_REMEMBERED_STEPS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Stepped:
    """What the steps of one optimizer did in a stretch: rows are its steps, columns ``params``.

    ``asked``: there was a finite gradient that is not zero, and a learning rate above zero. ``changed`` is
    the number of elements that changed over the number of those whose gradient is not zero, ``gradient`` the
    typical size of the latter, ``weight`` that of the weights, ``rate`` the learning rate, ``update`` the
    estimated change of an element, ``spacing`` the distance to the next number there.
    """

    optimizer: OptimizerLife
    params: npt.NDArray[np.intp]
    asked: Bools
    changed: Floats
    gradient: Floats
    weight: Floats
    rate: Floats
    update: Floats
    spacing: Floats


class Steps:
    """Remembers the completed steps of the stretch in progress, to read its statistics by."""

    def __init__(self) -> None:
        self._begun: dict[int, OptimizerStep] = {}
        self._done: dict[tuple[int, int], OptimizerStep] = {}

    def begin(self, event: OptimizerStep) -> None:
        """A step was entered; a closure's is another matter."""
        if not event.closure:
            self._begun[event.optimizer] = event

    def end(self, optimizer: int, begin: int, *, left_alone: bool) -> None:
        """It returned; ``left_alone``: it failed, or its kernel skipped it."""
        step = self._begun.get(optimizer)
        if step is not None and step.order == begin and not left_alone:
            self._done[step.step, optimizer] = step
            if len(self._done) > _REMEMBERED_STEPS * 4:
                del self._done[next(iter(self._done))]

    def take(
        self, measured: Measured, ledger: Ledger, choose: Callable[[OptimizerLife], Sequence[int]]
    ) -> Iterator[Stepped]:
        """What each optimizer's steps did in the stretch to the parameters that ``choose`` names.

        What is remembered of the stretch is let go.
        """
        done, self._done = self._done, {}
        for optimizer in ledger.optimizers.values():
            places = [
                (place, event)
                for place, step in enumerate(measured.steps.tolist())
                if (event := done.get((step, optimizer.index))) is not None
            ]
            chosen = choose(optimizer) if places else ()
            known = [p for p in chosen if p < measured.table.shape[1]]
            if known:
                yield _stepped(optimizer, known, places, measured, ledger)


def _stepped(
    optimizer: OptimizerLife,
    chosen: list[int],
    places: list[tuple[int, OptimizerStep]],
    measured: Measured,
    ledger: Ledger,
) -> Stepped:
    rows = [place for place, _ in places]
    params = np.asarray(chosen, dtype=np.intp)
    infos = [ledger.parameters[p] for p in params]

    def column(name: str) -> Floats:
        return measured.of(name)[rows][:, params].astype(np.float64)

    numel = np.asarray([max(info.numel, 1) for info in infos], dtype=np.float64)
    norms, share = column("grad_norm"), 1.0 - column("grad_zero_share")
    rate = _rates(optimizer, [event for _, event in places], params)
    with np.errstate(all="ignore"):
        gradient, changed = norms / np.sqrt(numel * share), column("changed_share") / share
    weight = column("weight_norm") / np.sqrt(numel)
    return Stepped(
        optimizer=optimizer,
        params=params,
        asked=np.isfinite(norms) & (norms > 0) & (share > 0) & (rate > 0),
        changed=changed,
        gradient=gradient,
        weight=weight,
        rate=rate,
        update=_update(optimizer, gradient, rate, ledger),
        spacing=spacing(weight, infos),
    )


def _rates(optimizer: OptimizerLife, steps: Sequence[OptimizerStep], params: npt.NDArray[np.intp]) -> Floats:
    """The learning rate of each step for each parameter; NaN where it is not known."""
    groups = max((len(step.lr) for step in steps), default=0)
    table = np.full((len(steps), max(groups, 1)), np.nan)
    for place, step in enumerate(steps):
        table[place, : len(step.lr)] = step.lr
    known = dict(zip(optimizer.owned, optimizer.groups, strict=False))
    group = np.asarray([known.get(p, 0) for p in params.tolist()], dtype=np.intp)
    return table[:, np.minimum(group, table.shape[1] - 1)]


def _update(optimizer: OptimizerLife, gradient: Floats, rate: Floats, ledger: Ledger) -> Floats:
    infos = ledger.optimizer_infos
    kind = infos[optimizer.index].type if optimizer.index < len(infos) else ""
    by_gradient = rate * np.minimum(gradient, 1.0)
    return np.where(gradient > _ABOVE_EPS, rate, by_gradient) if kind in _NORMALISING else by_gradient


def spacing(weight: Floats, infos: Sequence[ParameterInfo]) -> Floats:
    """The distance between neighbouring numbers at weights of such size, in each parameter's dtype."""
    relative = np.asarray([SPACING.get(info.dtype, np.nan) for info in infos])
    with np.errstate(divide="ignore"):
        power = np.exp2(np.floor(np.log2(weight)))
    apart: Floats = np.where(weight > 0, power, 0.0) * relative
    return apart


def is_stock(optimizer: OptimizerLife, ledger: Ledger) -> bool:
    """Whether it is one of torch's own: it rounds to the nearest number, and keeps no second copy."""
    infos = ledger.optimizer_infos
    return optimizer.index < len(infos) and infos[optimizer.index].stock
