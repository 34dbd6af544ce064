"""GD210: a step with a good gradient leaves a parameter exactly as it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graddebug.diagnose.causes import IDLE_WINDOWS
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.layers import LOOK_UPS, lines
from graddebug.diagnose.measured import Measured
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, thresholds
from graddebug.diagnose.standing import LOW, Stepped, Steps, is_stock
from graddebug.diagnose.wording import number, times
from graddebug.ledger import Ledger, OptimizerLife
from graddebug.records import OptimizerStep, OptimizerStepEnd, ParameterSet, RunEnd, Severity


@dataclass(slots=True)
class _Standing:
    """A parameter that no step has moved: since when, in how many steps, and the numbers of the last one."""

    since: int
    steps: int = 0
    gradient: float = 0.0
    update: float = 0.0
    spacing: float = 0.0
    rate: float = 0.0


class ParameterDidNotMove(Rule):
    """Never once in the run, though a step was due that is many times the distance to the next number.

    With an optimizer that is not torch's own, it is said late: it may gather several gradients for one
    update, or begin late. Not: a step too small for the dtype (GD207), a gradient of rounding noise.
    """

    code = "GD210"
    slug = "parameter-did-not-move"
    title = "A step with a good gradient leaves a parameter as it was"
    severity = Severity.ERROR
    needs = (STEPS,)
    why = (
        "The gradient is there, the learning rate is not zero, step() ran, and the value is the same to "
        "the last bit. The update went into a copy: `p = p - lr * grad` or `p.add(...)` without its "
        "underscore in an optimizer of one's own, a hook that puts old values back."
    )
    fix = "Update the parameter itself, in place and under `torch.no_grad()`: `p.add_(grad, alpha=-lr)`."
    example = (
        "for p in group['params']:\n"
        "    p.data.add(p.grad, alpha=-group['lr'])     # wrong: makes a new tensor\n"
        "\n"
        "for p in group['params']:\n"
        "    p.data.add_(p.grad, alpha=-group['lr'])    # right\n"
    )
    options = thresholds(
        windows="steps with an optimizer of torch's own",
        windows_of_others="steps with another one",
        windows_of_others_at_end="the same where the run is over",
        spacings="how many times the distance to the next number the step had to be",
    )
    #: Steps with an optimizer of torch's own.
    windows = 3
    #: Steps with another one: it may gather gradients, so not before several times the usual patience.
    windows_of_others = 5 * IDLE_WINDOWS
    #: The same in a run that is over.
    windows_of_others_at_end = 8
    #: How many times the distance to the next number the step had to be.
    spacings = 8.0

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._steps = Steps()
        self._standing: dict[int, _Standing] = {}
        self._moved: set[int] = set()
        self._told: set[int] = set()
        self._unmoved: dict[int, tuple[ParameterSet, list[int]]] = {}

    def on_step(self, event: OptimizerStep, ledger: Ledger) -> Claims:
        """Remember the learning rates."""
        self._steps.begin(event)
        return None

    def on_step_end(self, event: OptimizerStepEnd, ledger: Ledger) -> Claims:
        """A skipped step asks for nothing."""
        self._steps.end(event.optimizer, event.begin, left_alone=event.skipped or event.failed)
        return None

    def on_measured(self, measured: Measured, ledger: Ledger) -> Claims:
        """Count the steps that left what they should have moved."""
        claims = []
        for stepped in self._steps.take(measured, ledger, self._left):
            self._count(stepped, int(measured.steps[0]), ledger)
            stock = is_stock(stepped.optimizer, ledger)
            least = self.windows if stock else self.windows_of_others
            claims += self._judge(stepped.optimizer, least, ledger)
        return claims

    def _left(self, optimizer: OptimizerLife) -> list[int]:
        """What it owns and was not seen to move yet: after a few steps mostly nothing."""
        owned, left = self._unmoved.get(optimizer.index, ((), []))
        if owned is not optimizer.owned:
            left = list(optimizer.owned)
        left = [p for p in left if p not in self._moved]
        self._unmoved[optimizer.index] = (optimizer.owned, left)
        return left

    def on_run_end(self, event: RunEnd, ledger: Ledger) -> Claims:
        """Nothing that was gathered can be applied any more."""
        return [
            claim
            for one in ledger.optimizers.values()
            for claim in self._judge(one, self.windows_of_others_at_end, ledger)
        ]

    def _count(self, stepped: Stepped, first: int, ledger: Ledger) -> None:
        moved = np.nan_to_num(stepped.changed, nan=0.0) > 0
        self._moved.update(stepped.params[moved.any(axis=0)].tolist())
        due = stepped.asked & (stepped.changed == 0) & (stepped.update >= self.spacings * stepped.spacing)
        stock = is_stock(stepped.optimizer, ledger)
        for place in np.flatnonzero(due.any(axis=0)).tolist():
            index = int(stepped.params[place])
            if index not in self._moved and _can_be_told(index, ledger, stock=stock):
                self._note(stepped, place, index, due[:, place], first)

    def _note(
        self,
        stepped: Stepped,
        place: int,
        index: int,
        due: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
        first: int,
    ) -> None:
        told = self._standing.setdefault(index, _Standing(first))
        last = int(np.flatnonzero(due)[-1])
        told.steps += int(due.sum())
        told.gradient, told.rate = float(stepped.gradient[last, place]), float(stepped.rate[last, place])
        told.update, told.spacing = float(stepped.update[last, place]), float(stepped.spacing[last, place])

    def _judge(self, optimizer: OptimizerLife, least: int, ledger: Ledger) -> list[Claim]:
        found = [
            p
            for p in optimizer.owned
            if (told := self._standing.get(p)) is not None
            and told.steps >= least
            and p not in self._moved
            and p not in self._told
        ]
        if not found:
            return []
        self._told.update(found)
        return [self._claim(optimizer, found, ledger)]

    def _claim(self, optimizer: OptimizerLife, params: list[int], ledger: Ledger) -> Claim:
        name, told = ledger.optimizer_name(optimizer.index), self._standing[params[0]]
        others = [p for p in optimizer.owned if p in self._moved]
        return Claim(
            step=min(self._standing[p].since for p in params),
            message=(
                f"`{name}.step()` ran {times(told.steps, 'time')} with a gradient for {PARAMETERS} (elements "
                f"of about {number(told.gradient)}) and a learning rate of {number(told.rate)}, and not one "
                f"element has changed. A step of about {number(told.update)} was due, and "
                f"{ledger.parameters[params[0]].dtype} can tell {number(told.spacing)} apart there."
                + (f" The other {times(len(others), 'parameter')} of `{name}` did move." if others else "")
            ),
            fix=(
                f"Look at what `{name}.step()` does with {PARAMETERS}"
                + (": which of the optimizer's cases leaves these out" if others else "")
                + ": an update that is not in place (`p = p - ...`, `add` for `add_`), a copy that is "
                "updated in its stead, a hook that puts old values back."
            ),
            roles=lines(optimizer, params, ledger),
            parameters=tuple(params),
            evidence={
                "steps": told.steps,
                "gradient": told.gradient,
                "learning_rate": told.rate,
                "update_due": told.update,
                "spacing": told.spacing,
                "others_moved": len(others),
            },
            anchor=("step",),
            topic=name,
        )


def _can_be_told(index: int, ledger: Ledger, *, stock: bool) -> bool:
    """Whether a sample of the weights would show a move, and an update of known size was due."""
    info = ledger.parameters[index]
    looked_up = info.module_type in LOOK_UPS
    return not looked_up and (stock or info.dtype not in LOW)
