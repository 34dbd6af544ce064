"""In which steps samples of gradients and weights are taken: what costs time is done as often as it is worth.

Norms are taken in every step. A sample costs some microseconds a tensor, whatever its size, and the sums over
it are the dearest part of a short step's end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from graddebug.capture.readback import Numbers

#: The first steps are sampled, then as many as take this share of the time watched, and one in so many at
#: least: rules see stretches of 10 steps, and loops that accumulate do so over 2, 4 or 8.
FIRST, SHARE, AT_LEAST = 32, 0.01, 7

#: A step whose gradients are so many times as large as usual is sampled, too: it is one that is asked about.
UNUSUAL = 8.0


class Sampling:
    """Decides step by step."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._spent = 0.0
        self._steps = 0
        self._since = 0
        self._usual: dict[int, float] = {}
        #: Whether the step in progress is sampled.
        self.due = True

    def spent_since(self, began: float) -> None:
        """Time that sampling has taken until now."""
        self._spent += time.perf_counter() - began

    def step_over(self) -> None:
        """Decide about the next step."""
        self._steps += 1
        self._since = 0 if self.due else self._since + 1
        self.due = (
            self._steps < FIRST
            or self._since + 1 >= AT_LEAST
            or self._spent <= SHARE * (time.perf_counter() - self._began)
        )

    def wants(self, members: Sequence[int], norms: Numbers) -> bool:
        """Whether a step about to consume gradients of these norms is to be sampled."""
        if not members:
            return False
        total = math.sqrt(float(np.dot(norms.values, norms.values)))
        usual = self._usual.get(members[0], total)
        if total > UNUSUAL * usual:
            return True
        if math.isfinite(total):
            self._usual[members[0]] = 0.9 * usual + 0.1 * total
        return self.due
