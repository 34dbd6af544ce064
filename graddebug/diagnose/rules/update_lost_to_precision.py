"""GD207: steps are rounded away in weights of low precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.layers import LOOK_UPS, lines
from graddebug.diagnose.measured import Measured
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, thresholds
from graddebug.diagnose.standing import LOW, Stepped, Steps, is_stock
from graddebug.diagnose.wording import number, times
from graddebug.ledger import Ledger, OptimizerLife
from graddebug.records import OptimizerStep, OptimizerStepEnd, ParameterSet, Severity


@dataclass(slots=True)
class _Standing:
    """A parameter that no stretch of steps has moved by more than a few elements.

    Of the steps that asked it to: how many, the sum of the shares that changed, and the numbers of the last.
    """

    since: int
    steps: int = 0
    changed: float = 0.0
    update: float = 0.0
    spacing: float = 0.0
    weight: float = 0.0
    rate: float = 0.0


class UpdateLostToPrecision(Rule):
    """A step shorter than half the distance to the next number leaves a weight as it is, each time anew.

    Judged for torch's own optimizers only: others may round stochastically, carry what was rounded off along
    (Kahan summation), or keep a float32 copy. Only while the learning rate is not rising and is no less than
    half of its highest: warm-ups begin, and schedules end, with steps that are lost and do no harm. Where
    most of what is in low precision does move, what does not (norm weights of 1) is a note.
    """

    code = "GD207"
    slug = "update-lost-to-precision"
    title = "Steps are too small for the precision of the weights and are lost"
    severity = Severity.ERROR
    needs = (STEPS,)
    why = (
        "bfloat16 keeps 8 significant bits: the next number after 1.0 is 1.0078, and 1.0 minus 0.001 is 1.0. "
        "The optimizer computes a step from a good gradient, and rounding takes it back. Nothing adds up "
        "over time: the next step begins where this one began."
    )
    fix = (
        "Keep the weights in float32 and compute in half precision under `torch.autocast`, instead of "
        "`.half()` or `.bfloat16()`; or raise the learning rate, or round stochastically."
    )
    example = (
        "model = model.bfloat16()                                     # wrong: steps are rounded away\n"
        "optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)\n"
        "\n"
        "optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)   # right: float32 weights\n"
        'with torch.autocast("cuda", torch.bfloat16):\n'
        "    loss = loss_fn(model(x), y)\n"
    )
    options = thresholds(
        steps="steps that asked for a move",
        nearly="share of elements that may change all the same",
    )
    #: Steps that asked for a move.
    steps = 5
    #: Share of elements that may change all the same: the ones near zero, where numbers lie closer.
    nearly = 0.05

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._steps = Steps()
        self._standing: dict[int, _Standing] = {}
        self._moved: set[int] = set()
        self._highest: dict[int, float] = {}
        self._latest: dict[int, float] = {}
        self._told: set[int] = set()
        self._chosen: dict[int, tuple[ParameterSet, list[int]]] = {}

    def on_step(self, event: OptimizerStep, ledger: Ledger) -> Claims:
        """Remember the learning rates."""
        self._steps.begin(event)
        return None

    def on_step_end(self, event: OptimizerStepEnd, ledger: Ledger) -> Claims:
        """A skipped step asks for nothing."""
        self._steps.end(event.optimizer, event.begin, left_alone=event.skipped or event.failed)
        return None

    def on_measured(self, measured: Measured, ledger: Ledger) -> Claims:
        """Weigh each parameter of low precision."""
        claims = []
        for stepped in self._steps.take(measured, ledger, lambda one: self._low(one, ledger)):
            for place in range(len(stepped.params)):
                self._weigh(stepped, place, int(measured.steps[0]))
            claims += self._judge(stepped, ledger)
        return claims

    def _low(self, optimizer: OptimizerLife, ledger: Ledger) -> list[int]:
        """What it owns in low precision, and a sample of the weights would show to move."""
        owned, low = self._chosen.get(optimizer.index, ((), []))
        if owned is not optimizer.owned:
            low = (
                [p for p in optimizer.owned if _can_be_told(p, ledger)] if is_stock(optimizer, ledger) else []
            )
            self._chosen[optimizer.index] = (optimizer.owned, low)
        return low

    def _weigh(self, stepped: Stepped, place: int, first: int) -> None:
        index, changed = int(stepped.params[place]), stepped.changed[:, place]
        known = ~np.isnan(changed)
        steady = self._is_steady(index, stepped.rate[:, place])
        if index in self._moved or not known.any():
            return
        if changed[known].mean() >= self.nearly:
            self._moved.add(index)
            self._standing.pop(index, None)
            return
        asked = known & stepped.asked[:, place]
        small = stepped.update[asked, place] <= stepped.spacing[asked, place]
        if not steady or not len(small) or not small.all():
            return
        told = self._standing.setdefault(index, _Standing(first))
        last = int(np.flatnonzero(asked)[-1])
        told.steps += int(asked.sum())
        told.changed += float(changed[asked].sum())
        told.update, told.spacing = float(stepped.update[last, place]), float(stepped.spacing[last, place])
        told.weight, told.rate = float(stepped.weight[last, place]), float(stepped.rate[last, place])

    def _is_steady(self, index: int, rates: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
        """Whether the learning rate does not rise, and is not far below where it was."""
        known = rates[~np.isnan(rates)]
        if not len(known):
            return False
        before = self._latest.get(index, float(known[0]))
        highest = max(self._highest.get(index, 0.0), float(known.max()))
        self._latest[index], self._highest[index] = float(known[-1]), highest
        falls = bool((np.diff(known, prepend=before) <= 0).all())
        return falls and float(known.min()) >= 0.5 * highest

    def _judge(self, stepped: Stepped, ledger: Ledger) -> list[Claim]:
        members = stepped.params.tolist()
        lost = [
            p
            for p in members
            if (one := self._standing.get(p)) and one.steps >= self.steps and one.update > 0
        ]
        new = [p for p in lost if p not in self._told]
        if not new:
            return []
        self._told.update(new)
        counted = [p for p in members if p in self._standing or p in self._moved]
        elements = [sum(ledger.parameters[p].numel for p in some) for some in (lost, counted)]
        mostly = 2 * elements[0] >= elements[1]
        return [self._claim(stepped, new, ledger, severity=None if mostly else Severity.NOTE)]

    def _claim(
        self, stepped: Stepped, params: list[int], ledger: Ledger, *, severity: Severity | None
    ) -> Claim:
        name = ledger.optimizer_name(stepped.optimizer.index)
        worst = max(params, key=lambda p: ledger.parameters[p].numel)
        told, dtype = self._standing[worst], ledger.parameters[worst].dtype
        share = sum(self._standing[p].changed / self._standing[p].steps for p in params) / len(params)
        how_many = "no element" if share == 0 else f"{share:.1%} of the elements"
        return Claim(
            step=min(self._standing[p].since for p in params),
            message=(
                f"`{name}.step()` had a gradient for {PARAMETERS} and a learning rate of "
                f"{number(told.rate)}, and in {times(told.steps, 'step')} it changed {how_many}: in {dtype} "
                f"numbers of about {number(told.weight)} lie {number(told.spacing)} apart, and a change of "
                f"about {number(told.update)} is rounded away."
            ),
            fix=(
                "Keep these weights in float32 and compute in half precision under `torch.autocast`, instead "
                f"of `.{'half' if dtype == 'float16' else 'bfloat16'}()`; or raise the learning rate of "
                f"`{name}`, or use an optimizer that rounds stochastically or keeps float32 master weights."
            ),
            roles=lines(stepped.optimizer, params, ledger),
            parameters=tuple(params),
            evidence={
                "dtype": dtype,
                "changed_share": share,
                "steps": told.steps,
                "update": told.update,
                "spacing": told.spacing,
                "weight": told.weight,
                "learning_rate": told.rate,
            },
            severity=severity,
            anchor=("step",),
            variant="" if severity is None else "part",
        )


def _can_be_told(index: int, ledger: Ledger) -> bool:
    """Whether it is in low precision, and a sample of the weights shows what moves."""
    info = ledger.parameters[index]
    return info.dtype in LOW and info.module_type not in LOOK_UPS
