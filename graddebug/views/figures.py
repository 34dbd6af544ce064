"""Numbers in few characters: each says its size at a glance and lines up in a column."""

from __future__ import annotations

import math

#: Stands where a number was not measured.
MISSING = "·"
TIMES = "\N{MULTIPLICATION SIGN}"

_BYTES = ("B", "kB", "MB", "GB", "TB")


def number(value: float | None) -> str:
    """At most eight characters: ``0.00123``, ``12.3``, ``4.56e-09``, ``nan``; `MISSING` for None."""
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return str(float(value))
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return f"{value:.1e}"


def measured(value: float) -> str:
    """`number`, where NaN means that nothing was measured."""
    return MISSING if math.isnan(value) else number(value)


def share(value: float) -> str:
    """A share from 0 to 1 as percent; `MISSING` for NaN. Never rounds to 0 % or 100 % what is not."""
    if math.isnan(value):
        return MISSING
    if 0 < value < 0.001:
        return "<0.1%"
    if 0.999 < value < 1:
        return ">99.9%"
    return f"{value * 100:.3g}%"


def whole(value: float) -> str:
    """A count held as float; `MISSING` for NaN."""
    return MISSING if math.isnan(value) else f"{value:,.0f}"


def size(count: int) -> str:
    """Bytes in decimal units: ``512 B``, ``1.5 MB``."""
    value = float(count)
    for unit in _BYTES[:-1]:
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} {_BYTES[-1]}"


def seconds(value: float) -> str:
    """A duration: ``850 us``, ``12.3 ms``, ``4.5 s``, ``3 min 20 s``."""
    if value < 1e-3:
        return f"{value * 1e6:.0f} us"
    if value < 1:
        return f"{value * 1e3:.3g} ms"
    if value < 100:
        return f"{value:.3g} s"
    return f"{value // 60:.0f} min {value % 60:.0f} s"


def shape(sizes: tuple[int, ...]) -> str:
    """Sizes with a times sign between them, or ``scalar``."""
    return TIMES.join(map(str, sizes)) if sizes else "scalar"


def several(count: int, word: str, plural: str = "") -> str:
    """``1 gradient``, ``4 gradients``, ``2 losses`` with its own plural."""
    return f"{count:,} {word if count == 1 else plural or word + 's'}"
