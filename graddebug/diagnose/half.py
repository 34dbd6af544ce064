"""What the rules of mixed precision share: how far half precision reaches, where bad numbers come from."""

from __future__ import annotations

import math

from graddebug.diagnose.wording import number, quoted
from graddebug.records import HalfMeasured, Nonfinite, Origin

#: The largest number of each half-precision dtype, and the exponent of its smallest normal one.
LARGEST = {"float16": 65504.0, "bfloat16": 3.3895e38}
LOWEST_NORMAL = {"float16": -14, "bfloat16": -126}


def headroom(half: HalfMeasured) -> float:
    """Bits between the largest value measured and the dtype's maximum; NaN where that says nothing."""
    if not (math.isfinite(half.absmax) and half.absmax > 0) or half.dtype not in LARGEST:
        return math.nan
    return math.log2(LARGEST[half.dtype] / half.absmax)


def largest_scale(half: HalfMeasured) -> float | None:
    """The largest power of two by which the loss may be scaled before such gradients overflow."""
    room = headroom(half)
    if half.what != "gradients" or not math.isfinite(room):
        return None
    return float(2.0 ** math.floor(math.log2(half.scale or 1.0) + room))


def no_scale_helps(event: Nonfinite | None, loss: float | None) -> bool:
    """Whether the bad numbers would be there at any loss scale.

    The loss is one itself, or they were born before the backward, or in it where numbers are not half (there
    no scale in use comes near the end of the range), or where the forward has kept NaN or inf.
    """
    if loss is not None and not math.isfinite(loss):
        return True
    origin = first_origin(event)
    if origin is None:
        return False
    if origin.born == "backward":
        kept = any(operand.nan or operand.inf for operand in origin.operands)
        return kept or origin.dtype in ("float32", "float64")
    return origin.born in ("forward", "data", "weights")


def first_origin(event: Nonfinite | None) -> Origin | None:
    """Where the first bad number was born, if that was measured."""
    return event.origins[0] if event is not None and event.origins else None


def birth(origin: Origin) -> str:
    """Where a bad number was born: ``inf is born in the backward of `mul` in blocks.3 (model.py:40)``."""
    what = "NaN or inf" if origin.nan and origin.inf else "NaN" if origin.nan else "inf"
    if origin.born == "data":
        return f"the data that goes in holds {what}"
    if origin.born == "weights":
        return f"the weights hold {what} already"
    if origin.born == "root":
        return f"the loss, or the gradient that the backward begins with, is {what}"
    op = origin.op.partition("Backward")[0]
    where = f" in {origin.module}" if origin.module else ""
    line = f", at {quoted(origin.site, op)}" if origin.site is not None else ""
    return f"{what} is born in the {origin.born} of {op}{where}{line}"


# --- underflow --------------------------------------------------------------------------------


def lost_share(half: HalfMeasured) -> float:
    """The share of numbers that half precision lost or holds with too few bits, 0 to 1.

    Exact zeros are no proof: dead units and padding have them. They count only where nearly everything is
    zero and casts are known to have flushed it.
    """
    nonzero = 1.0 - half.zero_share
    if half.flushed_share >= 0.5 and half.zero_share >= 0.9:
        return half.flushed_share
    return half.subnormal_share / nonzero if nonzero > 0 else 0.0


def rescuing_scale(half: HalfMeasured, *, spare_bits: int = 2) -> float | None:
    """The loss scale at which such gradients would be normal numbers; None if no scale can do that.

    It lifts the first percentile to the smallest normal number, or as far as the largest number may rise
    with ``spare_bits`` bits left.
    """
    scale = half.scale or 1.0
    if half.absmax == 0:
        return max(scale * 1024, 65536.0)
    room = math.floor(headroom(half)) - spare_bits
    shift = min(LOWEST_NORMAL[half.dtype] - _percentile(half), room)
    if shift <= 0 or _lost_after(half, shift) > lost_share(half) / 2:
        return None
    return float(2.0 ** math.ceil(math.log2(scale) + shift))


def _percentile(half: HalfMeasured, share: float = 0.01) -> int:
    """The exponent that this share of the numbers that are not zero lies below or on."""
    wanted, seen = share * sum(half.exponents), 0
    for place, count in enumerate(half.exponents):
        seen += count
        if seen >= wanted and count:
            return half.lowest_exponent + place
    return LOWEST_NORMAL[half.dtype]


def _lost_after(half: HalfMeasured, shift: int) -> float:
    lowest = LOWEST_NORMAL[half.dtype] - shift
    below = sum(half.exponents[: max(lowest - half.lowest_exponent, 0)])
    return below / max(sum(half.exponents), 1)


#: A loss that is scaled so far has had all help there is: what is still too small has no part in training.
_SCALED_ENOUGH, _OUT_OF_REACH = 2.0**15, 2.0**24


class Underflow:
    """Whether gradients of measured backwards underflow, several in a row."""

    def __init__(self, share: float, measured: int) -> None:
        self._share = share
        self._measured = measured
        self._row = 0

    def persists(self, event: HalfMeasured) -> bool:
        """Whether this measurement and those before it lost more than the share."""
        if event.what != "gradients" or event.dtype != "float16" or not math.isfinite(event.absmax):
            return False
        lost = lost_share(event) >= self._share and not _vanished(event)
        self._row = self._row + 1 if lost else 0
        return self._row >= self._measured


def _vanished(event: HalfMeasured) -> bool:
    """Whether the gradients are next to nothing in themselves: a loss that is fitted, a dead network."""
    rescue = rescuing_scale(event)
    return (event.scale or 1.0) >= _SCALED_ENOUGH and rescue is not None and rescue > _OUT_OF_REACH


def lost_words(event: HalfMeasured) -> str:
    """What was lost, as the beginning of a sentence's rest."""
    if event.flushed_share >= 0.5 and event.zero_share >= 0.9:
        return (
            f"{event.flushed_share:.0%} of the gradients that were not zero became 0 in float16, which holds "
            "no number below 3e-08."
        )
    return (
        f"{lost_share(event):.0%} of the gradients that are not zero lie below 6e-05, where float16 loses "
        f"bits (the largest is {number(event.absmax)})."
    )


def lost_evidence(event: HalfMeasured) -> dict[str, object]:
    """The numbers that prove it."""
    return {
        "absmax": event.absmax,
        "subnormal_share": event.subnormal_share,
        "flushed_share": event.flushed_share,
        "zero_share": event.zero_share,
    }
