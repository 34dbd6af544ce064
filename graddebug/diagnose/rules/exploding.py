"""GD507: gradients grow by orders of magnitude and stay there, while training falls apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graddebug.diagnose.evidence import STATISTICS
from graddebug.diagnose.layers import lines, owned_rows
from graddebug.diagnose.measured import Floats, Measured
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, thresholds
from graddebug.ledger import Ledger, OptimizerLife
from graddebug.records import Clipped, ParameterSet, Severity


@dataclass(frozen=True, slots=True)
class _Beginning:
    """An optimizer's first stretch: what its gradients, weights and loss were like."""

    width: int
    norm: float
    lowest: float
    norms: Floats
    weights: Floats
    loss: float


@dataclass(frozen=True, slots=True)
class _Rise:
    """Steps whose gradients grew one after the other until the numbers overflowed at step ``end``."""

    begin: int
    end: int
    first: float
    last: float


_NOTHING_YET = (np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))


class Exploding(Rule):
    """Judged on what the steps consumed: a clipped gradient does not explode."""

    code = "GD507"
    slug = "exploding"
    title = "Gradients grow by orders of magnitude and stay there"
    severity = Severity.WARNING
    needs = (STATISTICS,)
    why = (
        "Each step that is too long makes the next gradient larger: the weights run away, the loss is worse "
        "than it was at the beginning, and NaN is what follows."
    )
    fix = "Lower the learning rate, or clip the gradients' total norm before the step."
    example = (
        "optimizer = SGD(model.parameters(), lr=5.0)    # wrong: each step overshoots further\n"
        "\n"
        "optimizer = SGD(model.parameters(), lr=0.05)   # right\n"
        "loss.backward()\n"
        "clip_grad_norm_(model.parameters(), 1.0)       # and a bound for what may still come\n"
        "optimizer.step()\n"
    )
    options = thresholds(
        growth="growth of the total norm over the run's first steps",
        worse="loss over the loss at the beginning",
        thrown="share of the weights' norm that a step moves",
        steps="steps of a stretch that lie beyond `growth`",
        rising="steps in a row that at least double the norm, right before NaN or inf",
    )
    #: Growth of the total norm over the run's first steps. Healthy runs stay within a factor of about 100:
    #: Philipp et al., "The exploding gradient problem demystified" (2018), speak of exploding from there on.
    growth = 1e3
    #: Times the loss at the beginning: whatever was learned is lost.
    worse = 2.0
    #: Share of the weights' norm that a step moves, or, grown tenfold, the weights themselves. A healthy
    #: step moves about a thousandth (see GD511).
    thrown = 0.05
    #: Steps of a stretch that must have finite numbers, all of them beyond ``growth``.
    steps = 5
    #: Steps that at least double the norm, each after the other, right before everything is NaN or inf.
    rising = 4

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._beginnings: dict[int, _Beginning] = {}
        self._recent: dict[int, tuple[Floats, Floats, npt.NDArray[np.int64]]] = {}
        self._told: set[int] = set()
        self._clips = False

    def on_clipped(self, event: Clipped, ledger: Ledger) -> Claims:
        """Remember that the program clips, for the fix."""
        self._clips = True
        return None

    def on_measured(self, measured: Measured, ledger: Ledger) -> Claims:
        """Compare with the optimizer's first stretch."""
        claims = []
        for optimizer in ledger.optimizers.values():
            if optimizer.last is None or optimizer.index in self._told:
                continue
            owned = owned_rows(optimizer, measured)
            total = measured.total_norms(owned)
            beginning = self._beginnings.get(optimizer.index)
            rise = self._rise_to_nothing(optimizer.index, measured, total)
            if rise is not None:
                self._told.add(optimizer.index)
                claims.append(self._overflow(optimizer, rise, owned, ledger))
            elif beginning is None or beginning.width != len(owned):
                self._begin(optimizer.index, measured, owned, total)
            elif self._explodes(beginning, measured, owned, total):
                self._told.add(optimizer.index)
                claims.append(self._claim(optimizer, beginning, measured, owned, total, ledger))
        return claims

    def _rise_to_nothing(self, index: int, measured: Measured, total: Floats) -> _Rise | None:
        """The last steps before NaN or inf, if each of them at least doubled the norm."""
        before = self._recent.get(index, _NOTHING_YET)
        self._recent[index] = total, measured.losses, measured.steps
        if np.isfinite(total[-1]) and np.isfinite(measured.losses[-1]):
            return None
        norms = np.concatenate([before[0], total])
        losses = np.concatenate([before[1], measured.losses])
        steps = np.concatenate([before[2], measured.steps])
        whole = np.isfinite(norms) & np.isfinite(losses)
        end = int(np.argmin(whole))
        if whole.all() or whole[end:].any() or len(norms) - end < 2:
            return None
        begin = end - 1
        while begin > 0 and norms[begin] > 2 * norms[begin - 1]:
            begin -= 1
        if end - begin < self.rising or norms[end - 1] < self.growth * norms[begin]:
            return None
        return _Rise(int(steps[begin]), int(steps[end]), float(norms[begin]), float(norms[end - 1]))

    def _begin(self, index: int, measured: Measured, owned: ParameterSet, total: Floats) -> None:
        known = total[np.isfinite(total) & (total > 0)]
        losses = measured.losses[np.isfinite(measured.losses)]
        if len(known) >= self.steps and len(losses):
            self._beginnings[index] = _Beginning(
                width=len(owned),
                norm=float(np.median(known)),
                lowest=float(known.min()),
                norms=measured.typical("grad_norm")[list(owned)],
                weights=measured.typical("weight_norm")[list(owned)],
                loss=float(np.median(losses)),
            )

    def _explodes(self, first: _Beginning, measured: Measured, owned: ParameterSet, total: Floats) -> bool:
        if total[0] < self.growth * first.norm:
            return False  # mostly: cheap
        finite = total[np.isfinite(total)]
        if len(finite) < self.steps or finite.min() < self.growth * first.norm:
            return False
        losses = measured.losses[~np.isnan(measured.losses)]
        loss = float(np.median(losses)) if len(losses) else np.inf
        if loss - first.loss < (self.worse - 1) * abs(first.loss):
            return False
        with np.errstate(all="ignore"):
            weights = measured.typical("weight_norm")[list(owned)]
            grown = np.nansum(weights**2) > 100 * np.nansum(first.weights**2)
        return bool(grown or np.nanmedian(measured.total_update(owned)) > self.thrown)

    def _claim(
        self,
        optimizer: OptimizerLife,
        first: _Beginning,
        measured: Measured,
        owned: ParameterSet,
        total: Floats,
        ledger: Ledger,
    ) -> Claim:
        with np.errstate(all="ignore"):
            grown = measured.typical("grad_norm")[list(owned)] / first.norms
        largest = np.nanmax(grown[np.isfinite(grown)], initial=0.0)
        params = tuple(p for p, one in zip(owned, grown, strict=True) if one >= largest / 10) or owned
        now = float(np.median(total[np.isfinite(total)]))
        name = ledger.optimizer_name(optimizer.index)
        rates = optimizer.last.lr if optimizer.last else ()
        step = int(measured.steps[np.isfinite(total)][0])
        return Claim(
            step=step,
            message=(
                f"The gradients that `{name}` applies have grown {now / first.norm:.0e} times: their norm "
                f"was {first.norm:.3g} in its first steps and is {now:.3g} from step {step:,} on. The "
                "loss is "
                f"worse than at the beginning ({_middle(measured.losses):.3g}, it was {first.loss:.3g}). The "
                f"growth is largest in {PARAMETERS}."
            ),
            fix=self._fix(first.lowest, rates, name),
            roles=lines(optimizer, params, ledger),
            parameters=params,
            evidence={
                "norm_at_first": first.norm,
                "norm": now,
                "loss_at_first": first.loss,
                "loss": _middle(measured.losses),
            },
            anchor=("step",),
        )

    def _overflow(self, optimizer: OptimizerLife, rise: _Rise, owned: ParameterSet, ledger: Ledger) -> Claim:
        name = ledger.optimizer_name(optimizer.index)
        rates = optimizer.last.lr if optimizer.last else ()
        return Claim(
            step=rise.begin,
            message=(
                f"The gradients that `{name}` applies grew with every step from {rise.begin:,} on, "
                "from a norm "
                f"of {rise.first:.3g} to {rise.last:.3g}, until at step {rise.end:,} the numbers overflowed: "
                "NaN or inf is all there has been since."
            ),
            fix=self._fix(rise.first, rates, name),
            roles=lines(optimizer, owned, ledger),
            parameters=owned,
            evidence={"norm_at_first": rise.first, "norm": rise.last, "overflow_at": rise.end},
            anchor=("step",),
        )

    def _fix(self, norm: float, rates: tuple[float, ...], name: str) -> str:
        rate = f" (it is {max(rates):g})" if rates and not np.isnan(max(rates)) else ""
        clip = (
            "clip to a smaller norm"
            if self._clips
            else f"clip before the step: `clip_grad_norm_(parameters, {_round(norm)})`"
        )
        return f"Lower the learning rate of `{name}`{rate}, or {clip}."


def _middle(losses: Floats) -> float:
    known = losses[~np.isnan(losses)]
    return float(np.median(known)) if len(known) else float("nan")


def _round(norm: float) -> str:
    return f"{2 * norm:.1g}" if norm < 0.5 else f"{max(1.0, float(f'{2 * norm:.1g}')):g}"
