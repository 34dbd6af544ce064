"""How scaled gradients were changed by hand: judged from their samples before and after.

An edit of scaled gradients is harmless if it commutes with multiplication by the scale. One common
factor does, if it does not depend on the scaled norm; bringing elements or norms to a limit does not.
What is measured here lets a rule tell them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graddebug.capture.samples import FloatArray

#: Distance between 1 and the next number, and the smallest number above 0, by dtype.
_PRECISION = {
    "float16": (2.0**-10, 2.0**-24),
    "bfloat16": (2.0**-7, 2.0**-133),
    "float32": (2.0**-23, 2.0**-149),
    "float64": (2.0**-52, 2.0**-1074),
}

#: Roundings between an element before an edit and after it: a product, a quotient, a sum or two.
_ROUNDINGS = 4

#: Two norms that differ by less than this share are the same number: float32 sums of half-precision elements.
SAME_NORM = 1e-4


@dataclass(frozen=True, slots=True)
class Edited:
    """One gradient's sample before and after an edit, with the norms of the whole gradient."""

    before: FloatArray
    after: FloatArray
    norm_before: float
    norm_after: float
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class Edit:
    """What was done to several gradients at once; the fields are those of `GradientsEdited`."""

    factor: float | None
    norm_before: float
    norm_after: float
    pinned: float | None


def edit_of(gradients: Sequence[Edited]) -> Edit | None:
    """What an edit did; None where NaN or inf hides it."""
    before = float(np.sqrt(sum(one.norm_before**2 for one in gradients)))
    after = float(np.sqrt(sum(one.norm_after**2 for one in gradients)))
    if not (np.isfinite(before) and np.isfinite(after)):
        return None
    factor = _common_factor(gradients)
    pinned = None if factor == 1 else _pinned_elements(gradients)
    if factor is None and pinned is None:
        pinned = _pinned_norms(gradients)
    return Edit(factor if pinned is None else None, before, after, pinned)


def _common_factor(gradients: Sequence[Edited]) -> float | None:
    factors = [(_factor(one), _PRECISION[one.dtype][0]) for one in gradients]
    if any(factor is None for factor, _ in factors):
        return None
    changed = [(factor, precision) for factor, precision in factors if factor is not None and factor != 1]
    if not changed:
        return 1.0
    best = min(changed, key=lambda pair: pair[1])[0]
    alike = all(abs(f - best) <= 2 * _ROUNDINGS * precision * abs(best) for f, precision in changed)
    return best if alike else None


def _factor(one: Edited) -> float | None:
    """The factor of one gradient, 1 if it is unchanged; None if there is none that fits all elements."""
    precision, smallest = _PRECISION[one.dtype]
    changed = (one.after != one.before) & (one.after != 0)
    before, after = one.before[changed], one.after[changed]
    if not len(before):
        return 1.0
    largest = int(np.abs(before).argmax())
    if before[largest] == 0:
        return None
    factor = float(after[largest] / before[largest])
    tolerance = _ROUNDINGS * precision * np.abs(after) + smallest
    return factor if bool(np.all(np.abs(after - factor * before) <= tolerance)) else None


def _pinned_elements(gradients: Sequence[Edited]) -> float | None:
    """The magnitude that all changed elements were brought to, from two different ones at least."""
    before = np.concatenate([one.before[_kept(one)] for one in gradients])
    after = np.concatenate([one.after[_kept(one)] for one in gradients])
    precision = max(_PRECISION[one.dtype][0] for one in gradients)
    limits = []
    different = False
    for side in (after > 0, after < 0):
        if not side.any():
            continue
        limit = np.abs(after[side]).max()
        if np.any(np.abs(after[side]) < limit * (1 - precision)):
            return None
        limits.append(float(limit))
        different |= bool(np.ptp(before[side]) > precision * limit)
    return max(limits) if different else None


def _kept(one: Edited) -> FloatArray:
    changed: FloatArray = (one.after != one.before) & (one.after != 0)
    return changed


def _pinned_norms(gradients: Sequence[Edited]) -> float | None:
    """The norm to which several tensors were brought, each by a factor of its own."""
    factors = [_factor(one) for one in gradients]
    norms = [one.norm_after for one, factor in zip(gradients, factors, strict=True) if factor != 1]
    if None in factors or len(norms) < 2 or np.ptp(norms) > SAME_NORM * max(norms):
        return None
    return float(max(norms))
