"""The loss scale in a gradient's life, and each loss scaler's own story."""

from __future__ import annotations

from dataclasses import dataclass, replace

from graddebug.records import (
    Backward,
    GradientsEdited,
    OptimizerStep,
    ScalerSeen,
    ScalerStep,
    ScalerUpdate,
    Unscaled,
)

#: What divides a gradient by a loss scale: ``unscale_``, or the step of a fused optimizer.
Division = Unscaled | OptimizerStep

#: Divisions of one gradient that are remembered, the newest ones.
_REMEMBERED = 4


def is_scaled(event: Backward) -> bool | None:
    """Whether what a backward wrote carries a loss scale; None if it began with a number of the program's."""
    if event.scalers:
        return event.scale != 1.0
    return None if event.seeded else False


@dataclass(frozen=True, slots=True)
class Scaling:
    """By what a gradient was divided since it was cleared, oldest first, and when it was edited by hand.

    Whether something in a gradient is still scaled is a question of order: it is if it was written after the
    last division, and if the program has not changed the gradient since (``edited``, an event's order).
    """

    divisions: tuple[Division, ...] = ()
    edited: int = -1

    def divided(self, event: Division) -> Scaling:
        """A scaler, or a kernel, divided the gradient by the scale."""
        return replace(self, divisions=(*self.divisions[1 - _REMEMBERED :], event))

    def edit(self, event: GradientsEdited) -> Scaling:
        """The program changed the gradient in place: it may have divided by the scale."""
        factor, scale = event.factor, event.scale
        still_scaled = factor is not None and scale is not None and factor * scale > _SURELY_SCALED
        return self if still_scaled else replace(self, edited=event.order)

    @property
    def last(self) -> Division | None:
        """The newest division."""
        return self.divisions[-1] if self.divisions else None


#: Times larger than unscaled: a gradient multiplied by a number that leaves it so large is scaled still.
_SURELY_SCALED = 32.0

#: The scaling of a gradient that nothing was done to.
UNDIVIDED = Scaling()


class ScalerLife:
    """One loss scaler's story.

    ``unscaled`` and ``stepped`` map optimizers to what was done for them since the last ``update()``;
    ``skips`` maps them to the number of steps that were skipped in a row until now.
    """

    __slots__ = (
        "enabled",
        "index",
        "last_step",
        "last_update",
        "name",
        "scale",
        "skips",
        "stepped",
        "unscaled",
    )

    def __init__(self, event: ScalerSeen) -> None:
        self.index = event.scaler
        self.name = event.name
        self.enabled = event.enabled
        self.scale = event.scale
        self.unscaled: dict[int, Unscaled] = {}
        self.stepped: dict[int, ScalerStep] = {}
        self.last_step: dict[int, ScalerStep] = {}
        self.last_update: ScalerUpdate | None = None
        self.skips: dict[int, int] = {}

    def unscale(self, event: Unscaled) -> None:
        """``unscale_`` ran, by itself or inside of ``step``."""
        self.unscaled[event.optimizer] = event

    def step(self, event: ScalerStep) -> None:
        """``step`` returned."""
        self.stepped[event.optimizer] = self.last_step[event.optimizer] = event
        self.skips[event.optimizer] = self.skips.get(event.optimizer, 0) + 1 if event.skipped else 0

    def update(self, event: ScalerUpdate) -> None:
        """``update`` returned."""
        self.last_update = event
        self.scale = event.after
        self.unscaled.clear()
        self.stepped.clear()
