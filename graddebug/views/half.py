"""How near to the ends of half precision the numbers of a run came, by what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from graddebug.records import HalfMeasured
from graddebug.views.figures import number, share
from graddebug.views.line import Line, Span, Tone, dim, line, strong
from graddebug.views.printable import printable
from graddebug.views.quote import place
from graddebug.views.sparkline import sparkline

#: Largest finite number of each half-precision dtype.
LARGEST = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38}
#: Fewer bits than this below the maximum: the next batch may overflow.
NEAR = 2.0
#: Shares from here on are worth a word of warning.
MUCH = 0.1


def headroom_bits(absmax: float, dtype: str) -> float:
    """Bits between a value and its dtype's maximum: inf for 0, below 0 for inf, NaN where unknown."""
    largest = LARGEST.get(dtype, math.nan)
    if absmax == 0 or math.isnan(largest) or math.isnan(absmax):
        return math.inf if absmax == 0 else math.nan
    return math.log2(largest / absmax) if math.isfinite(absmax) else -1.0


def bits_word(bits: float) -> Span:
    """Headroom in a column: ``2.4 bits``, ``overflow``; nothing where it was not measured."""
    if math.isnan(bits):
        return dim("·")
    if bits < 0:
        return Span("overflow", Tone.ERROR)
    if math.isinf(bits):
        return dim("all zero")
    return Span(f"{bits:.1f} bits", Tone.WARNING if bits < NEAR else Tone.PLAIN)


def share_word(value: float) -> Span:
    """A share of numbers that are lost or losing digits."""
    tone = Tone.DIM if math.isnan(value) or not value else Tone.WARNING if value > MUCH else Tone.PLAIN
    return Span(share(value), tone)


@dataclass(frozen=True, slots=True)
class HalfStory:
    """The extremes of all measured backwards for one dtype of gradients or of modules' outputs."""

    largest: HalfMeasured
    most_subnormal: HalfMeasured
    most_flushed: HalfMeasured
    last: HalfMeasured

    @classmethod
    def of(cls, event: HalfMeasured) -> HalfStory:
        """The story of one event."""
        return cls(event, event, event, event)

    def with_next(self, event: HalfMeasured) -> HalfStory:
        """The story with one more event, in which the first of equals stays."""
        return HalfStory(
            max(self.largest, event, key=_finite),
            max(self.most_subnormal, event, key=lambda e: e.subnormal_share),
            max(self.most_flushed, event, key=lambda e: e.flushed_share),
            event,
        )


def _finite(event: HalfMeasured) -> float:
    """The largest finite number: an overflow is a scaler's ordinary way to its scale, and told elsewhere."""
    return event.absmax if math.isfinite(event.absmax) else -1.0


def half_lines(story: HalfStory) -> Iterator[Line]:
    """The largest number and where it was, then what was lost at the small end, then the exponents."""
    top = story.largest
    if not top.absmax:
        yield line(strong(f"{top.what} in {printable(top.dtype)}"), "  no finite number but 0")
        return
    scaled = f" (scaled by {number(top.scale)})" if top.scale and top.what == "gradients" else ""
    where = " in ".join(filter(None, (printable(top.op), printable(top.module))))
    at = f", {place(top.largest_at)}" if top.largest_at else ""
    bits = bits_word(headroom_bits(top.absmax, top.dtype))
    largest = f"  largest {number(top.absmax)}{scaled}, "
    below = "" if bits.tone is Tone.ERROR else " below the maximum"
    yield line(strong(f"{top.what} in {printable(top.dtype)}"), largest, bits, below)
    yield line(dim(f"  in step {top.step}"), dim(f": {where}{at}" if where or at else ""))
    yield _small_end(story)
    if story.last.exponents:
        yield _exponents(story.last)


def _small_end(story: HalfStory) -> Line:
    below, lost = story.most_subnormal, story.most_flushed
    spans: list[str | Span] = [f"  zeros {share(story.last.zero_share)}  subnormal at most "]
    spans.append(share_word(below.subnormal_share))
    spans.append(dim(f" in step {below.step}" if below.subnormal_share else ""))
    if lost.flushed_share:
        spans += ["  lost in casts ", share_word(lost.flushed_share), dim(f" in step {lost.step}")]
    return line(*spans)


def _exponents(event: HalfMeasured) -> Line:
    counts = np.array(event.exponents, dtype=np.float64)
    drawn = sparkline(np.where(counts > 0, counts, np.nan))
    low, high = event.lowest_exponent, event.lowest_exponent + len(counts) - 1
    begin = dim(f"  exponents in step {event.step}  2^{low} ")
    return line(begin, Span(drawn, Tone.ACCENT), dim(f" 2^{high}"))
