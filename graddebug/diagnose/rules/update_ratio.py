"""GD511: steps that are far too long, or too short, for the weights they change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from graddebug.diagnose.evidence import STATISTICS
from graddebug.diagnose.layers import lines, matrices
from graddebug.diagnose.measured import Floats, Measured
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, thresholds
from graddebug.diagnose.standing import LOW, spacing
from graddebug.diagnose.wording import times
from graddebug.ledger import Ledger, OptimizerLife
from graddebug.records import OptimizerStep, Severity


class UpdateRatio(Rule):
    """Judged on weight matrices while the learning rate stands still: warm-ups and last steps say nothing."""

    code = "GD511"
    slug = "update-ratio"
    title = "Steps are far too long or far too short for the weights"
    severity = Severity.NOTE
    needs = (STATISTICS,)
    why = (
        "A step of good length moves the weights by about a thousandth of their norm. A hundred times that "
        "forgets as fast as it learns; a thousand times less does not get anywhere."
    )
    fix = "Change the learning rate by the factor that the message names."
    example = (
        "optimizer = SGD(model.parameters(), lr=1e-8)    # wrong: nothing moves\n"
        "\n"
        "optimizer = SGD(model.parameters(), lr=1e-2)    # right: about a thousandth of the weights a step\n"
    )
    options = thresholds(
        high="norm of a step's change over the norm of the weights, above which it is far too long",
        low="the same, below which it is far too short",
        stretches="stretches of 10 steps in a row",
    )
    #: Norm of the change over norm of the weights. "Roughly 1e-3": A. Karpathy, CS231n notes, "Ratio of
    #: weights:updates"; L. Bottou's advice for SGD is the same. Adam on weights of 0.02 begins near 0.05.
    high = 0.5
    #: Likewise; fine-tuning with Adam at 1e-6 still moves about 1e-5.
    low = 1e-7
    #: Stretches of 10 steps in a row, after the first.
    stretches = 5

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._rates: dict[int, tuple[float, ...]] = {}
        self._unsteady: set[int] = set()
        self._began_at_zero: npt.NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self._long: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._short: dict[int, int] = {}
        self._told: set[int] = set()
        self._settled: set[int] = set()
        self._matrices: dict[int, tuple[tuple[int, ...], list[int]]] = {}

    def on_step(self, event: OptimizerStep, ledger: Ledger) -> Claims:
        """Notice learning rates that change, or are zero."""
        known = self._rates.get(event.optimizer)
        if known != event.lr:
            self._rates[event.optimizer] = event.lr
            self._unsteady.add(event.optimizer)
        return None

    def on_measured(self, measured: Measured, ledger: Ledger) -> Claims:
        """Count stretches outside of the band."""
        unsteady, self._unsteady = self._unsteady, set()
        self._grow(measured)
        ratios = measured.typical("update_ratio")
        claims = []
        for optimizer in ledger.optimizers.values():
            if optimizer.last is None or optimizer.index in self._told:
                continue
            layers = [p for p in self._layers_of(optimizer, ledger) if p < len(ratios)]
            steady = optimizer.index not in unsteady and all(rate > 0 for rate in optimizer.last.lr)
            if not steady or not layers or len(measured.steps) < 5:
                self._long[layers] = 0
                self._short.pop(optimizer.index, None)
                continue
            self._weigh(optimizer, measured, layers, ratios, ledger)
            claims += self._decided(optimizer, measured, layers, ratios, ledger)
        return claims

    def _layers_of(self, optimizer: OptimizerLife, ledger: Ledger) -> list[int]:
        known = self._matrices.get(optimizer.index)
        if known is None or known[0] is not optimizer.owned:
            known = (optimizer.owned, matrices(optimizer.owned, ledger.parameters))
            self._matrices[optimizer.index] = known
        return known[1]

    def _grow(self, measured: Measured) -> None:
        have = len(self._long)
        missing = measured.table.shape[1] - have
        if missing > 0:
            first = measured.of("weight_norm")[0, have:]
            self._long = np.concatenate([self._long, np.zeros(missing, dtype=np.int64)])
            self._began_at_zero = np.concatenate([self._began_at_zero, ~(first > 0)])

    def _weigh(
        self,
        optimizer: OptimizerLife,
        measured: Measured,
        layers: list[int],
        ratios: Floats,
        ledger: Ledger,
    ) -> None:
        mine = ratios[layers]
        long = (mine > self.high) & ~self._began_at_zero[layers]
        self._long[layers] = np.where(long, self._long[layers] + 1, 0)
        index = optimizer.index
        if index in self._settled:
            return  # what has converged moves as little as what never moved
        known = mine[~np.isnan(mine)]
        short = (
            len(known) > 0 and known.max() < self.low and np.nanmax(measured.typical("grad_norm")[layers]) > 0
        )
        if short and not known.any() and _are_stuck(optimizer, measured, layers, ledger):
            return
        self._short[index] = self._short.get(index, 0) + 1 if short else 0
        if not short:
            self._settled.add(index)

    def _decided(
        self,
        optimizer: OptimizerLife,
        measured: Measured,
        layers: list[int],
        ratios: Floats,
        ledger: Ledger,
    ) -> list[Claim]:
        long = [
            p for p, count in zip(layers, self._long[layers].tolist(), strict=True) if count >= self.stretches
        ]
        short = self._short.get(optimizer.index, 0) >= self.stretches
        if not long and not short:
            return []
        self._told.add(optimizer.index)
        params = long or layers
        ratio = float(np.nanmedian(ratios[params]))
        name = ledger.optimizer_name(optimizer.index)
        rate = max(optimizer.last.lr) if optimizer.last and optimizer.last.lr else float("nan")
        how = "long" if long else "short"
        count = self.stretches * len(measured.steps)
        return [
            Claim(
                step=int(measured.steps[0]),
                message=(
                    f"A step of `{name}` moves {PARAMETERS} by {ratio:.1g} of their norm, for "
                    f"{times(count, 'step')} now; "
                    f"about 0.001 is usual. The steps are far too {how}."
                ),
                fix=f"{'Lower' if long else 'Raise'} the learning rate of `{name}` (it is {rate:g}).",
                roles=lines(optimizer, params, ledger),
                parameters=tuple(params),
                evidence={"update_ratio": ratio, "learning_rate": rate},
                anchor=("step",),
                variant=how,
            )
        ]


def _are_stuck(optimizer: OptimizerLife, measured: Measured, layers: list[int], ledger: Ledger) -> bool:
    """Whether steps of such length should have moved some of them: it is not the rate (GD207, GD210)."""
    infos = [ledger.parameters[p] for p in layers]
    if any(info.dtype in LOW for info in infos):
        return True
    root = np.sqrt([info.numel for info in infos])
    gradient = np.minimum(measured.typical("grad_norm")[layers] / root, 1.0)
    apart = spacing(measured.typical("weight_norm")[layers] / root, infos)
    rates = optimizer.last.lr if optimizer.last else ()
    return bool((max(rates, default=0.0) * gradient >= 8 * apart).any())
