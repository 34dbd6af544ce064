"""What the rules about skipped steps remember until a scaler steps: a bad loss, where NaN was born."""

from __future__ import annotations

import math

from graddebug.diagnose.half import largest_scale
from graddebug.diagnose.rule import Claims, Rule
from graddebug.ledger import Ledger
from graddebug.records import Backward, HalfMeasured, Nonfinite


class JudgesSkips(Rule):
    """Base of those rules; a subclass forgets by `forget` when the steps they stopped are judged."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._nonfinite: Nonfinite | None = None
        self._loss: float | None = None
        self._fits: float | None = None

    def on_backward(self, event: Backward, ledger: Ledger) -> Claims:
        """Remember a loss that is NaN or inf itself."""
        if event.loss is not None and not math.isfinite(event.loss):
            self._loss = event.loss
        return None

    def on_nonfinite(self, event: Nonfinite, ledger: Ledger) -> Claims:
        """Remember where bad numbers were born."""
        self._nonfinite = self._nonfinite or event
        return None

    def on_half(self, event: HalfMeasured, ledger: Ledger) -> Claims:
        """Remember which scale gradients would bear."""
        if event.what == "gradients" and event.dtype == "float16":
            self._fits = largest_scale(event) or self._fits
        return None

    def forget(self) -> None:
        """What was bad so far has had its consequence."""
        self._nonfinite, self._loss = None, None
