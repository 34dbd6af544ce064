"""GD508: gradients shrink layer by layer until nothing is left for the first ones."""

from __future__ import annotations

import numpy as np

from graddebug.diagnose.evidence import STATISTICS
from graddebug.diagnose.layers import lines, matrices
from graddebug.diagnose.measured import Floats, Measured
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, thresholds
from graddebug.ledger import Ledger, OptimizerLife
from graddebug.records import Severity

#: Stands for a gradient that became exactly zero on its way.
_NOTHING = 1e-45


class Vanishing(Rule):
    """Judged across the weight matrices of an optimizer, in the order in which the model holds them.

    Known limit: what vanishes over time inside one recurrent layer does not show in its gradient's norm.
    """

    code = "GD508"
    slug = "vanishing"
    title = "Gradients vanish on their way to the first layers"
    severity = Severity.WARNING
    needs = (STATISTICS,)
    why = (
        "Each layer multiplies the gradient by its weights and by the slope of its activation. Where that is "
        "below one, layer after layer, the first ones get nothing to learn from, while the last ones train: "
        "the loss falls a little, and stays."
    )
    fix = (
        "Use ReLU or GELU instead of sigmoid or tanh, an initialisation that fits, residual connections or "
        "normalisation."
    )
    example = (
        "layers = [m for _ in range(12) for m in (nn.Linear(64, 64), nn.Sigmoid())]   # wrong\n"
        "\n"
        "layers = [m for _ in range(12) for m in (nn.Linear(64, 64), nn.ReLU())]      # right\n"
    )
    options = thresholds(
        ratio="gradient norm of the last layers over that of the first",
        layers="layers in a row",
        largest_drop="share of the whole drop that may lie between two neighbours",
        healthy="gradient norm over weight norm that the last layers must have",
        stretches="stretches of 10 steps in a row",
    )
    #: How many times smaller the gradient norms of the first third (their middle) are than the largest of
    #: the last third. Glorot & Bengio (2010) show factors up to 1e2 in networks that still train; networks
    #: of five sigmoid layers, which train slowly, reach 1e4.
    ratio = 1e5
    #: Fewer layers cannot be told from a scale that differs for another reason.
    layers = 5
    #: Share of the whole (logarithmic) drop that may lie between two neighbours: vanishing is gradual. One
    #: large drop is a scale: a loss term with a small factor, a gate that begins at zero.
    largest_drop = 0.6
    #: The last layers' gradient norm over their weights' norm: below it nothing trains any more, anywhere.
    healthy = 1e-6
    #: Stretches of 10 steps, one after another, after the first.
    stretches = 2

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._seen: dict[int, int] = {}
        self._in_a_row: dict[int, int] = {}
        self._told: set[int] = set()
        self._matrices: dict[int, tuple[tuple[int, ...], list[int]]] = {}

    def on_measured(self, measured: Measured, ledger: Ledger) -> Claims:
        """Compare the first layers with the last."""
        claims = []
        for optimizer in ledger.optimizers.values():
            if optimizer.last is None or optimizer.index in self._told:
                continue
            claim = self._judge(optimizer, measured, ledger)
            if claim is not None:
                claims.append(claim)
        return claims

    def _judge(self, optimizer: OptimizerLife, measured: Measured, ledger: Ledger) -> Claim | None:
        index = optimizer.index
        norms = measured.typical("grad_norm")
        chosen = self._layers_of(optimizer, ledger)
        self._seen[index] = self._seen.get(index, 0) + 1
        if len(chosen) < self.layers or len(measured.steps) < 5 or self._seen[index] == 1:
            return None
        layers = [p for p in chosen if p < len(norms) and not np.isnan(norms[p])]
        each = np.maximum(norms[layers], _NOTHING)
        vanishes = len(layers) >= self.layers and self._vanishes(np.log10(each), measured, layers)
        self._in_a_row[index] = self._in_a_row.get(index, 0) + 1 if vanishes else 0
        if self._in_a_row[index] < self.stretches:
            return None
        self._told.add(index)
        return self._claim(optimizer, measured, layers, each, ledger)

    def _layers_of(self, optimizer: OptimizerLife, ledger: Ledger) -> list[int]:
        known = self._matrices.get(optimizer.index)
        if known is None or known[0] is not optimizer.owned:
            known = (optimizer.owned, matrices(optimizer.owned, ledger.parameters))
            self._matrices[optimizer.index] = known
        return known[1]

    def _vanishes(self, logs: Floats, measured: Measured, layers: list[int]) -> bool:
        third = max(1, len(logs) // 3)
        late = -1 - int(np.argmax(logs[::-1][:third]))
        if not logs[late] - np.median(logs[:third]) >= np.log10(self.ratio):
            return False
        healthy = 10 ** logs[late] >= self.healthy * measured.typical("weight_norm")[layers[late]]
        return bool(healthy and np.diff(logs).max() <= self.largest_drop * (logs[late] - logs[0]))

    def _claim(
        self, optimizer: OptimizerLife, measured: Measured, layers: list[int], each: Floats, ledger: Ledger
    ) -> Claim:
        third = max(1, len(layers) // 3)
        late = float(each[-third:].max())
        small = tuple(p for p, one in zip(layers, each, strict=True) if one * self.ratio <= late) or (
            layers[0],
        )
        first, last = ledger.parameter_name(layers[0]), ledger.parameter_name(layers[-1])
        begin, end = (float(measured.typical("grad_norm")[layers[at]]) for at in (0, -1))
        return Claim(
            step=int(measured.steps[0]),
            message=(
                f"The gradient shrinks layer by layer: its norm is {end:.2g} in {last}, and "
                f"{begin:.2g} in {first}, "
                f"{len(layers) - 1} weight matrices earlier. {PARAMETERS} get next to nothing to learn from."
            ),
            fix=(
                f"Let the gradient through to {first}: ReLU or GELU in place of sigmoid or tanh, an "
                "initialisation "
                "that fits it (`nn.init.kaiming_normal_`), residual connections or normalisation "
                "between the layers."
            ),
            roles=lines(optimizer, layers, ledger),
            parameters=small,
            evidence={"first": begin, "last": end, "layers": len(layers), "ratio": late / float(each[0])},
            anchor=("step",),
        )
