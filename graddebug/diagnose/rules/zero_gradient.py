"""GD510: backwards write gradients that are exactly zero, window after window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import numpy.typing as npt

from graddebug.diagnose.evidence import STATISTICS
from graddebug.diagnose.layers import LOOK_UPS, by_module, lines, row
from graddebug.diagnose.measured import Measured
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, thresholds
from graddebug.diagnose.wording import names, times
from graddebug.ledger import Ledger, OptimizerLife
from graddebug.records import Backward, ParameterSet, RunEnd, Severity

_REMEMBERED_LOSSES = 64


@dataclass(slots=True)
class _Loss:
    """Of the backwards that write one set of parameters."""

    first: float
    latest: float


@dataclass(frozen=True, slots=True)
class _Zeros:
    """The parameters of an optimizer by their gradients: long zero, and not zero."""

    zero: frozenset[int]
    alive: frozenset[int]


class ZeroGradient(Rule):
    """Zero in every element, though a backward wrote it: the path is there, and nothing comes through it.

    Three shapes are told apart. **Dead units**: a layer gets nothing and the layer behind it gets a gradient
    in its bias alone, so its input is all zero. **Saturated**: nothing that an optimizer owns gets anything,
    while the loss is no better than at the beginning. **Multiplied by zero**: a part of the model gets
    nothing for a whole run. The last is also what a term does that comes into the loss later, and is
    therefore said at the end.
    """

    code = "GD510"
    slug = "zero-gradient"
    title = "Gradients are exactly zero, step after step"
    severity = Severity.WARNING
    needs = (STATISTICS,)
    why = (
        "A gradient of zeros is no missing one: the optimizer steps, and nothing is learned. Units of a ReLU "
        "that are never positive, a sigmoid at exactly 0 or 1, a mask or factor that is zero: once there, "
        "there is mostly no way back."
    )
    fix = "Find what the gradient is multiplied by: a dead or saturated activation, a mask, a factor of zero."
    example = (
        "loss = F.binary_cross_entropy(torch.sigmoid(1000 * x), y)            # wrong: flat at 0 and 1\n"
        "\n"
        "loss = F.binary_cross_entropy_with_logits(1000 * x, y)               # right\n"
    )
    options = thresholds(
        windows="measured steps in a row",
        windows_of_a_part="measured steps in a row for a part that never had another gradient",
        least_loss="loss below which a gradient of zero is right",
    )
    #: Measured steps in a row. A head or adapter that begins at zero gives its neighbours zero in the first
    #: one or two; the same patience as for an idle optimizer (GD112).
    windows = 20
    #: The same for a part that never had another gradient, before the end of the run: a term may come into
    #: the loss late.
    windows_of_a_part = 1000
    #: A loss below it is as good as none, and then a gradient of zero is right.
    least_loss = 1e-3

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._streak: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._since: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._counted: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._told: npt.NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self._losses: dict[ParameterSet, _Loss] = {}
        self._newest: ParameterSet = ()

    def on_backward(self, event: Backward, ledger: Ledger) -> Claims:
        """Remember the loss of what it wrote."""
        if event.written and event.loss is not None and isfinite(event.loss):
            if self._newest is not event.written:
                known = self._losses.pop(event.written, None)
                self._losses[event.written] = known or _Loss(event.loss, event.loss)  # the newest comes last
                self._newest = event.written
            self._losses[event.written].latest = event.loss
            if len(self._losses) > _REMEMBERED_LOSSES:
                del self._losses[next(iter(self._losses))]
        return None

    def on_measured(self, measured: Measured, ledger: Ledger) -> Claims:
        """Count, and look closer where the count is high."""
        self._count(measured)
        if self._streak.max() < self.windows or not (self._streak >= self.windows)[~self._told].any():
            return None
        return [
            claim for one in ledger.optimizers.values() for claim in self._judge(one, ledger, ended=False)
        ]

    def on_run_end(self, event: RunEnd, ledger: Ledger) -> Claims:
        """Nothing comes later any more: say what never had a gradient."""
        return [claim for one in ledger.optimizers.values() for claim in self._judge(one, ledger, ended=True)]

    def _count(self, measured: Measured) -> None:
        self._grow(measured.table.shape[1])
        norms, written = measured.of("grad_norm"), measured.of("grad_norm_written")
        if (norms > 0).all() and not np.isnan(written).any():  # mostly
            self._streak[:] = 0
            self._counted += len(norms)
            return
        known = ~np.isnan(norms) & ~np.isnan(written)
        zero = known & (norms == 0) & (written == 0)  # not what a clip or the program made zero
        other = known & ~zero
        # While nothing moves (a rate of zero) what begins at zero stays there.
        ratios = measured.of("update_ratio")
        still = (ratios == 0).any(axis=1) & ~(ratios > 0).any(axis=1)
        moving = ~still | ~other.any(axis=1)
        zero &= moving[:, None]
        ended = other.any(axis=0)
        later = np.where(ended, other.shape[0] - np.argmax(other[::-1], axis=0), 0)
        trailing = zero & (np.arange(len(zero))[:, None] >= later)
        count = np.count_nonzero(trailing, axis=0)
        begun = (count > 0) & (ended | (self._streak == 0))
        self._since = np.where(begun, measured.steps[np.argmax(trailing, axis=0)], self._since)
        self._streak = np.where(ended, 0, self._streak) + count
        self._counted += np.count_nonzero(known & moving[:, None], axis=0)

    def _grow(self, width: int) -> None:
        missing = width - len(self._streak)
        if missing > 0:
            more = np.zeros(missing, dtype=np.int64)
            self._streak, self._since, self._counted = (
                np.concatenate([one, more]) for one in (self._streak, self._since, self._counted)
            )
            self._told = np.concatenate([self._told, more > 0])

    # --- what it means --------------------------------------------------------------------------

    def _judge(self, optimizer: OptimizerLife, ledger: Ledger, *, ended: bool) -> list[Claim]:
        found = self._zeros(optimizer)
        if not found.zero or self._told[list(found.zero)].all():
            return []
        if not found.alive:
            return self._saturated(optimizer, found.zero, ledger)
        dead, fed = _dead_units(found, ledger)
        if dead:
            return [self._dead(optimizer, dead, fed, found, ledger)]
        return self._part(optimizer, found, ledger, ended=ended)

    def _zeros(self, optimizer: OptimizerLife) -> _Zeros:
        mine = [p for p in optimizer.owned if p < len(self._streak) and self._counted[p]]
        zero = frozenset(p for p in mine if self._streak[p] >= self.windows)
        return _Zeros(zero, frozenset(p for p in mine if not self._streak[p]))

    def _saturated(self, optimizer: OptimizerLife, zero: frozenset[int], ledger: Ledger) -> list[Claim]:
        wrote = [loss for written, loss in self._losses.items() if not zero.isdisjoint(written)]
        if not wrote or abs(wrote[-1].latest) < self.least_loss:
            return []
        loss = wrote[-1]
        if loss.latest < loss.first - 0.5 * abs(loss.first):
            return []  # it has learned, and is satisfied
        message = (
            f"Nothing that `{ledger.optimizer_name(optimizer.index)}` owns has had a gradient other "
            "than zero in "
            f"{self._how_long(zero)}, while the loss is {loss.latest:.3g}: no weight can change it."
        )
        fix = (
            "Look at what the loss is computed from: a sigmoid, tanh or softmax that is saturated (use "
            "a loss that "
            "takes logits, `binary_cross_entropy_with_logits`, and check the scale of the inputs), a "
            "`clamp` or "
            "ReLU on its flat side, a mask or factor that is zero."
        )
        return [self._claim(optimizer, sorted(zero), message, fix, ledger, shape="saturated")]

    def _dead(
        self, optimizer: OptimizerLife, dead: list[str], fed: list[str], found: _Zeros, ledger: Ledger
    ) -> Claim:
        modules = {*dead, *fed}
        params = sorted(p for p in found.zero if ledger.parameters[p].module in modules)
        message = (
            f"The gradients of {PARAMETERS} have been exactly zero in {self._how_long(params)}. {names(fed)} "
            f"still {'gets' if len(fed) == 1 else 'get'} one in the bias, so what comes in there is "
            f"all zero: the units of {names(dead)} are "
            "dead (a ReLU whose inputs are all negative, or a mask over everything)."
        )
        fix = (
            f"Initialise {names(dead)} anew and find what drove it there: a learning rate that is too "
            "high, inputs "
            "that are not normalised, a large negative bias. LeakyReLU or GELU leave a way back."
        )
        return self._claim(optimizer, params, message, fix, ledger, shape="dead")

    def _part(self, optimizer: OptimizerLife, found: _Zeros, ledger: Ledger, *, ended: bool) -> list[Claim]:
        """A part that never had another gradient; not one of alike parts of which some are chosen."""
        patience = 0 if ended else self.windows_of_a_part
        never = [
            p for p in found.zero if self._streak[p] == self._counted[p] >= patience and not self._told[p]
        ]
        chosen = {row(ledger.parameters[p]) for p in found.alive}
        parts = []
        for members in by_module(never, ledger.parameters).values():
            infos = [ledger.parameters[p] for p in members]
            whole = not any(ledger.parameters[p].module == infos[0].module for p in found.alive)
            looked_up = infos[0].module_type in LOOK_UPS
            layered = any(len(info.shape) > 1 for info in infos)
            if whole and layered and not looked_up and chosen.isdisjoint(map(row, infos)):
                parts += members
        if not parts:
            return []
        message = (
            f"Every backward writes a gradient for {PARAMETERS}, and in all {self._how_long(parts)} it "
            "was exactly "
            "zero, while other parameters of the same optimizer were trained."
        )
        fix = (
            "Follow the module's output to the loss: it is multiplied by zero there (a factor, a mask, an "
            "activation on its flat side). If that is meant, freeze the parameters or leave them out."
        )
        return [self._claim(optimizer, sorted(parts), message, fix, ledger, shape="part")]

    def _how_long(self, params: Sequence[int] | frozenset[int]) -> str:
        return times(int(self._streak[list(params)].min()), "step")

    def _claim(
        self,
        optimizer: OptimizerLife,
        params: Sequence[int],
        message: str,
        fix: str,
        ledger: Ledger,
        *,
        shape: str,
    ) -> Claim:
        chosen = list(params)
        self._told[chosen] = True
        return Claim(
            step=int(self._since[chosen].min()),
            message=message,
            fix=fix,
            roles=lines(optimizer, params, ledger),
            parameters=tuple(params),
            evidence={"steps": int(self._streak[chosen].min()), "shape": shape},
            anchor=("step",),
            variant=shape,
        )


def _dead_units(found: _Zeros, ledger: Ledger) -> tuple[list[str], list[str]]:
    """Modules that get nothing, and the modules behind them of which the bias alone gets something."""
    dead, fed = [], []
    for module, members in by_module(found.zero | found.alive, ledger.parameters).items():
        zero = [p for p in members if p in found.zero]
        alive = [p for p in members if p in found.alive]
        if not module or ledger.parameters[members[0]].module_type in LOOK_UPS:
            continue
        if not alive and any(len(ledger.parameters[p].shape) > 1 for p in zero):
            dead.append(module)
        elif zero and alive and dead and all(len(ledger.parameters[p].shape) == 1 for p in alive):
            fed.append(module)
    return (dead, fed) if dead and fed else ([], [])
