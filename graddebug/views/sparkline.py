"""A series as one row of blocks."""

from __future__ import annotations

import numpy as np

BLOCKS = "▁▂▃▄▅▆▇█"
#: Stands where a value is inf: it has no height.
BEYOND = "!"
#: From this ratio of largest to smallest on, a positive series is drawn on a log axis.
LOG_FROM = 30.0
LOG = " log"


def sparkline(values: np.ndarray) -> str:
    """One character a value: a block by height, a space for NaN, ``!`` for inf.

    A positive series that spans more than `LOG_FROM` is drawn by its logarithm; a flat one at mid
    height.
    """
    heights = _axis(np.asarray(values, dtype=np.float64))
    return "".join(map(_block, heights))


def axis(values: np.ndarray) -> str:
    """The word behind a series: `LOG` where it is drawn by its logarithm, as many blanks elsewhere."""
    finite = values[np.isfinite(values)]
    return LOG if _spans_decades(finite) else " " * len(LOG)


def _spans_decades(finite: np.ndarray) -> bool:
    if not finite.size or float(finite.min()) < 0:
        return False
    return _smallest_positive(finite) * LOG_FROM < float(finite.max())


def _axis(values: np.ndarray) -> np.ndarray:
    """Heights from 0 to 1, with NaN and inf kept."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return values
    low, high = float(finite.min()), float(finite.max())
    if _spans_decades(finite):
        return _log_axis(values, floor=_smallest_positive(finite), high=high)
    if high == low:
        return np.where(np.isfinite(values), 0.0 if high == 0 else 0.5, values)
    return np.where(np.isfinite(values), (values - low) / (high - low), values)


def _smallest_positive(finite: np.ndarray) -> float:
    positive = finite[finite > 0]
    return float(positive.min()) if positive.size else float("inf")


def _log_axis(values: np.ndarray, *, floor: float, high: float) -> np.ndarray:
    span = np.log(high / floor)
    with np.errstate(invalid="ignore", divide="ignore"):
        heights = np.log(np.maximum(values, floor) / floor) / span
    return np.where(np.isfinite(values), heights, values)


def _block(height: float) -> str:
    if np.isnan(height):
        return " "
    if np.isinf(height):
        return BEYOND
    return BLOCKS[min(int(height * len(BLOCKS)), len(BLOCKS) - 1)]
