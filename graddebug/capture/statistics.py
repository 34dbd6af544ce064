"""Numbers about every parameter at an optimizer's step.

The whole gradient is read once, for its norm, when a backward wrote it; everything else comes from
the strided sample taken then. The same places of the weights are sampled before and after the step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from graddebug.capture.gradients import GradientState, Measure
from graddebug.capture.parameters import ParameterTable
from graddebug.capture.readback import Numbers, Readback
from graddebug.capture.samples import FloatArray, Sample, dense
from graddebug.records import STATISTICS

_COLUMN = {name: place for place, name in enumerate(STATISTICS)}
Table = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


class StepStatistics:
    """The statistics table of the step in progress: (parameters, statistics), NaN where unmeasured."""

    def __init__(self, table: ParameterTable, state: GradientState, readback: Readback) -> None:
        self.table = table
        self.state = state
        self.readback = readback
        self._fill: list[Callable[[], None]] = []
        self._rows = _empty()

    @property
    def measured(self) -> bool:
        """Whether anything was measured in this step."""
        return bool(self._fill)

    def take(self) -> Table:
        """The finished table of the step, once all numbers are read back; starts a new one."""
        fill, self._fill = self._fill, []
        with np.errstate(all="ignore"):
            for write in fill:
                write()
        rows, self._rows = self._grown(), _empty()
        return rows

    def written(self, members: Sequence[int], norms: Numbers, *, scale: Callable[[], float]) -> None:
        """A backward left gradients of these norms; ``scale`` says, once read back, how much too large."""
        self.later(
            lambda: self.put(
                members, grad_norm_written=norms.values, grad_scale=np.full(len(members), scale())
            )
        )

    def later(self, write: Callable[[], None]) -> None:
        """Run ``write`` when the step's numbers have been read back."""
        self._fill.append(write)

    def put(self, members: Sequence[int], **columns: FloatArray) -> None:
        """Put values into columns for some parameters."""
        if members:
            places = [_COLUMN[name] for name in columns]
            self._grown()[np.ix_(members, places)] = np.stack(list(columns.values()), axis=1)

    def _grown(self) -> Table:
        missing = len(self.table) - len(self._rows)
        if missing:
            more = np.full((missing, len(STATISTICS)), np.nan, dtype=np.float32)
            self._rows = np.concatenate((self._rows, more))
        return self._rows


def _empty() -> Table:
    return np.empty((0, len(STATISTICS)), dtype=np.float32)


class StepMeasure:
    """What one optimizer's step did to its parameters: opened before it, `after` closes it.

    ``scale`` is the loss scale that a fused optimizer will divide the gradients by; 1 without one.
    """

    def __init__(self, statistics: StepStatistics, gradients: Measure, scale: Numbers) -> None:
        self._statistics = statistics
        self._members = gradients.members
        self._weights = Sample(self._tensors())
        self._norms = statistics.readback.norms(self._tensors(), self._weights)
        self._gradients, self._scale = gradients, scale
        self._nonfinite = _nonfinite_counts(gradients, statistics.state)
        statistics.later(self._fill)

    def _tensors(self) -> list[torch.Tensor]:
        refs = self._statistics.table.refs
        return [parameter for i in self._members if (parameter := refs[i]()) is not None]

    def _fill(self) -> None:
        sample, members = self._gradients.sample, self._members
        layout, numbers = sample.layout, sample.numbers
        absolute = np.abs(numbers)
        scale = self._scale.values[0]
        self._statistics.put(
            members,
            grad_norm=self._gradients.norms.values / scale,
            grad_absmax=layout.maxima(absolute) / scale,
            grad_mean=layout.sums(numbers) / layout.counts / scale,
            grad_zero_share=layout.sums(numbers == 0) / layout.counts,
            grad_nonfinite=self._nonfinite,
            weight_norm=self._norms.values,
            grad_subnormal_share=_subnormal(absolute, self._gradients) / layout.counts,
        )

    def after(self) -> StepOutcome:
        """Sample the weights again; the result tells what changed, once all is read back."""
        before, after = self._weights, Sample(self._tensors())
        if before.layout is not after.layout:  # a parameter was resized or dropped by the step
            return StepOutcome([], before, before)
        self._statistics.later(lambda: self._compare(before, after))
        return StepOutcome(self._members, before, after)

    def _compare(self, before: Sample, after: Sample) -> None:
        layout = before.layout
        delta = after.numbers - before.numbers
        changed = layout.sums(~((delta == 0) | (np.isnan(after.numbers) & np.isnan(before.numbers))))
        norm = np.sqrt(layout.sums(before.numbers * before.numbers))
        self._statistics.put(
            self._members,
            changed_share=changed / layout.counts,
            update_ratio=np.sqrt(layout.sums(delta * delta)) / norm,
        )


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """The weights' samples before and after a step; to be asked when they are read back."""

    members: Sequence[int]
    before: Sample
    after: Sample

    def moved(self) -> list[int]:
        """The parameters of which an element changed."""
        return self._where(lambda: self.after.numbers != self.before.numbers)

    def spoiled(self) -> list[int]:
        """The parameters of which an element was finite and is not any more."""
        with np.errstate(all="ignore"):
            if np.isfinite(self.after.numbers.sum(dtype=np.float64)):  # NaN and inf would have shown in it
                return []
        return self._where(lambda: np.isfinite(self.before.numbers) & ~np.isfinite(self.after.numbers))

    def _where(self, differs: Callable[[], np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]) -> list[int]:
        if not self.members:
            return []
        counts = self.before.layout.sums(differs())
        return [i for i, count in zip(self.members, counts, strict=True) if count]


def _subnormal(absolute: FloatArray, gradients: Measure) -> FloatArray:
    """How many elements of each sample are not zero, but below the smallest normal number of its dtype."""
    layout, dtypes = gradients.sample.layout, gradients.dtypes
    counts = np.zeros(len(dtypes))
    for dtype in set(dtypes):
        mine = np.fromiter((one is dtype for one in dtypes), bool, len(dtypes))
        small = (absolute > 0) & (absolute < _smallest_normal(dtype))
        counts[mine] = layout.sums(small)[mine]
    return counts


@cache
def _smallest_normal(dtype: torch.dtype) -> float:
    return float(torch.finfo(dtype).tiny)


def _nonfinite_counts(gradients: Measure, state: GradientState) -> FloatArray:
    """0 where the norm is finite: an L2 norm carries every NaN and inf on. Counted where it is not.

    NaN (unknown) for gradients on a device, whose norm is not known yet.
    """
    norms: Numbers = gradients.norms
    counts = np.where(np.isfinite(norms.values), 0.0, np.nan)
    for place in np.flatnonzero(np.isnan(counts)):
        grad = state.grad(gradients.members[place])
        if grad is not None and grad.is_cpu:
            counts[place] = float((~torch.isfinite(dense(grad))).sum().item())
    return counts
