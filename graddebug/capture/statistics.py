"""Numbers about every parameter at an optimizer's step.

The whole gradient is read once, for its norm, when a backward wrote it, and the weights after the step;
everything else comes from strided samples, which are not taken in every step (`Sampling`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch

from graddebug.capture.gradients import GradientState, Measure
from graddebug.capture.parameters import ParameterTable
from graddebug.capture.readback import Numbers, Readback
from graddebug.capture.samples import FloatArray, Sample, dense
from graddebug.capture.sampling import Sampling
from graddebug.records import STATISTICS

_COLUMN = {name: place for place, name in enumerate(STATISTICS)}
Table = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


class StepStatistics:
    """The statistics table of the step in progress: (parameters, statistics), NaN where unmeasured."""

    def __init__(self, table: ParameterTable, state: GradientState, readback: Readback) -> None:
        self.table = table
        self.state = state
        self.readback = readback
        self.sampling = Sampling()
        self.weights = WeightNorms(readback)
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
            rows = self._grown()
            where = slice(None) if len(members) == len(rows) and members == _all(len(rows)) else members
            for name, values in columns.items():
                rows[where, _COLUMN[name]] = values

    def _grown(self) -> Table:
        missing = len(self.table) - len(self._rows)
        if missing:
            more = np.full((missing, len(STATISTICS)), np.nan, dtype=np.float32)
            self._rows = np.concatenate((self._rows, more))
        return self._rows


@cache
def _all(count: int) -> list[int]:
    return list(range(count))


def _empty() -> Table:
    return np.empty((0, len(STATISTICS)), dtype=np.float32)


class StepMeasure:
    """What one optimizer's step did to its parameters: opened before it, `after` closes it.

    ``scale`` is the loss scale that a fused optimizer will divide the gradients by; 1 without one.
    ``watch_moves``: whether it will be asked which parameters moved.
    """

    def __init__(
        self, statistics: StepStatistics, gradients: Measure, scale: Numbers, *, watch_moves: bool
    ) -> None:
        self._statistics = statistics
        self._members = gradients.members
        self._gradients, self._scale = gradients, scale
        self._sampled = statistics.sampling.wants(gradients.members, gradients.norms)
        tensors = self._tensors()
        self._norms = statistics.weights.before(self._members, tensors)
        self._weights = self._sample(tensors) if self._sampled or watch_moves else None
        self._nonfinite = _nonfinite_counts(gradients, statistics.state)
        statistics.later(self._fill)
        if self._sampled:
            sample = gradients.sample or self._sample(statistics.state.grads(self._members))
            statistics.later(lambda: self._fill_sampled(sample))

    def _sample(self, tensors: Sequence[torch.Tensor]) -> Sample:
        began = time.perf_counter()
        sample = Sample(tensors)
        self._statistics.sampling.spent_since(began)
        return sample

    def _tensors(self) -> list[torch.Tensor]:
        refs = self._statistics.table.refs
        return [parameter for i in self._members if (parameter := refs[i]()) is not None]

    def _fill(self) -> None:
        self._statistics.put(
            self._members,
            grad_norm=self._gradients.norms.values / self._scale.values[0],
            grad_nonfinite=self._nonfinite,
            weight_norm=self._norms.values,
        )

    def _fill_sampled(self, sample: Sample) -> None:
        began = time.perf_counter()
        layout, numbers, scale = sample.layout, sample.numbers, self._scale.values[0]
        absolute = np.abs(numbers)
        self._statistics.put(
            self._members,
            grad_absmax=layout.maxima(absolute) / scale,
            grad_mean=layout.sums(numbers) / layout.counts / scale,
            grad_zero_share=layout.sums(numbers == 0) / layout.counts,
            grad_subnormal_share=_subnormal(absolute, sample, self._gradients.dtypes) / layout.counts,
        )
        self._statistics.sampling.spent_since(began)

    def after(self) -> StepOutcome:
        """Look at the weights again; the result tells what changed, once all is read back."""
        tensors = self._tensors()
        if len(tensors) < len(self._members):  # a parameter was dropped by the step
            return StepOutcome([])
        norms = self._statistics.weights.after(self._members, tensors)
        outcome = StepOutcome(self._members, self._norms, norms)
        if self._weights is None:
            return outcome
        before, after = self._weights, self._sample(tensors)
        if before.layout is not after.layout:  # or resized
            return outcome
        if self._sampled:
            self._statistics.later(lambda: self._compare(before, after))
        return replace(outcome, before=before, after=after)

    def _compare(self, before: Sample, after: Sample) -> None:
        began = time.perf_counter()
        layout = before.layout
        delta = after.numbers - before.numbers
        changed = layout.sums(~((delta == 0) | (np.isnan(after.numbers) & np.isnan(before.numbers))))
        norm = np.sqrt(layout.sums(before.numbers * before.numbers))
        self._statistics.put(
            self._members,
            changed_share=changed / layout.counts,
            update_ratio=np.sqrt(layout.sums(delta * delta)) / norm,
        )
        self._statistics.sampling.spent_since(began)


class WeightNorms:
    """Norms of weights before and after steps: what a step left is what the next one finds.

    Unless the program changed them in between: then they are taken anew.
    """

    def __init__(self, readback: Readback) -> None:
        self._readback = readback
        self._left: dict[int, tuple[list[int], Numbers]] = {}

    def before(self, members: list[int], tensors: Sequence[torch.Tensor]) -> Numbers:
        """The norms a step finds."""
        left = self._left.pop(members[0], None) if members else None
        if left is not None and left[0] == members:
            return left[1]
        return self._readback.norms(tensors)

    def after(self, members: list[int], tensors: Sequence[torch.Tensor]) -> Numbers:
        """The norms a step leaves."""
        norms = self._readback.norms(tensors)
        if members:
            self._left[members[0]] = (members, norms)
        return norms

    def moved(self, params: Collection[int]) -> None:
        """The program itself, or another step, changed these."""
        stale = [key for key, (members, _) in self._left.items() if not set(params).isdisjoint(members)]
        for key in stale:
            del self._left[key]


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """The weights before and after a step, their norms always and samples if taken; asked once read back."""

    members: Sequence[int]
    norms_before: Numbers | None = None
    norms_after: Numbers | None = None
    before: Sample | None = None
    after: Sample | None = None

    def moved(self) -> list[int]:
        """The parameters of which an element changed."""
        before, after = self.before, self.after
        if not self.members or before is None or after is None:
            return []
        counts = before.layout.sums(after.numbers != before.numbers)
        return [i for i, count in zip(self.members, counts, strict=True) if count]

    def spoiled(self) -> list[int]:
        """The parameters that were finite and are not any more."""
        if self.norms_before is None or self.norms_after is None:
            return []
        bad = np.isfinite(self.norms_before.values) & ~np.isfinite(self.norms_after.values)
        return [self.members[place] for place in np.flatnonzero(bad).tolist()]


def _subnormal(absolute: FloatArray, sample: Sample, dtypes: Sequence[torch.dtype]) -> FloatArray:
    """How many elements of each sample are not zero, but below the smallest normal number of its dtype."""
    layout = sample.layout
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
