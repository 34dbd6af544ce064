"""A small language for scaled training: a scaler's steps and updates as capture tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graddebug.records import (
    HalfMeasured,
    Nonfinite,
    Origin,
    ScalerSeen,
    ScalerStep,
    ScalerUpdate,
    Unscaled,
)
from tests.diagnose.story import Story, site

BIRTH = site(12, "y = torch.log(p)")


@dataclass
class Scaled:
    """One scaler that grows and backs off as torch's does, over one optimizer of a story."""

    story: Story
    scale: float = 65536.0
    growth_interval: int = 2000
    backoff: float = 0.5
    tracker: int = 0

    def begin(self) -> None:
        """The scaler is seen."""
        self.story.tell(ScalerSeen, scaler=0, name="scaler", scale=self.scale)

    def window(self, *, bad: bool = False, origin: Origin | None = None, **backward: Any) -> None:
        """One correct training step; ``bad``: its gradients hold NaN or inf."""
        params, number = self.story.set(None), self.story.step_number
        self.story.clear("optimizer")
        told: dict[str, Any] = {"scale": self.scale, "scalers": (0,), "nonfinite": params if bad else ()}
        order = self.story.backward(**(told | backward))
        if bad:
            origins = (origin,) if origin is not None else ()
            told = {"params": params, "origins": origins, "captured": bool(origins), "scale": self.scale}
            self.story.tell(Nonfinite, backward=order, **told)
        scaler: dict[str, Any] = {"scaler": 0, "optimizer": 0, "params": params, "scale": self.scale}
        self.story.tell(
            Unscaled, at=44, source="scaler.step(optimizer)", implicit=True, found_inf=bad, **scaler
        )
        begin = None if bad else self.story.step(at=44, scaler=0)
        self.story.step_number = number  # the scaler's step returns, and its update runs, inside this step
        told = {"nonfinite": params if bad else (), "skipped": bad, "optimizer_step": begin}
        self.story.tell(ScalerStep, at=44, source="scaler.step(optimizer)", **scaler, **told)
        self.update(bad=bad)
        self.story.step_number = number + 1

    def update(self, *, bad: bool) -> None:
        """``scaler.update()``."""
        before = self.scale
        self.tracker = 0 if bad else self.tracker + 1
        if bad:
            self.scale *= self.backoff
        elif self.tracker == self.growth_interval:
            self.scale, self.tracker = self.scale * 2, 0
        told = {"scaler": 0, "before": before, "after": self.scale, "growth_tracker": self.tracker}
        self.story.tell(ScalerUpdate, at=45, source="scaler.update()", **told)

    def half(self, **fields: Any) -> None:
        """A measured backward, or a measured forward, in half precision."""
        told = {"backward": 0, "what": "gradients", "dtype": "float16", "elements": 1000, "scale": self.scale}
        self.story.tell(HalfMeasured, at=41, source="loss.backward()", **(told | fields))


def overflow() -> Origin:
    """float16 gradients that pass 65,504."""
    cast = {"op": "ToCopyBackward0", "dtype": "float16", "incoming": 3e5, "incoming_numel": 9}
    return Origin(born="backward", module="head", site=BIRTH, inf=3, numel=9, **cast)  # type: ignore[arg-type]


def log_of_zero() -> Origin:
    """NaN that is there before any gradient is."""
    return Origin(born="forward", op="LogBackward0", module="head", site=BIRTH, dtype="float16", nan=3)
