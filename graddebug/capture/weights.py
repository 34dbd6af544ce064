"""Weights that the program changed itself, outside of every optimizer's step.

Read at boundaries: a version counter that moved, or, for updates through ``.data`` which move none, one
element of a weight whose gradient there is not zero. Only the CPU's elements are read: nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import torch

from graddebug.capture.gradients import Measure
from graddebug.capture.parameters import ParameterTable
from graddebug.capture.samples import is_plain, largest_element

#: A parameter that no optimizer owns is probed after its first writes, then after each power of two.
_FIRST_PROBES = 8


@dataclass(slots=True)
class _Probe:
    """An element of a weight as it was, and the parameters whose change its own one shows."""

    element: int
    value: float
    members: tuple[int, ...]


class WeightState:
    """The last seen state of every parameter's value."""

    def __init__(self, table: ParameterTable) -> None:
        self._table = table
        self._versions: list[int] = []
        self._probes: dict[int, _Probe] = {}
        self._writes: dict[int, int] = {}

    def look(self) -> set[int]:
        """The parameters that changed since the last look, or step; the new state is known then."""
        known, self._versions = self._versions, self._read(range(len(self._table)))
        moved: set[int] = set()
        if known != self._versions:
            pairs = enumerate(zip(known, self._versions, strict=False))
            moved.update(i for i, (before, now) in pairs if before != now and before >= 0 and now >= 0)
        for index, probe in self._probes.items():
            if self._value(index, probe.element) not in (None, probe.value):
                moved.update(probe.members)
        self._probes.clear()
        return moved

    def stepped(self, params: Collection[int]) -> None:
        """An optimizer's step may have changed these."""
        known = len(self._versions)
        mine = [i for i in params if i < known]
        for i, version in zip(mine, self._read(mine), strict=True):
            self._versions[i] = version
        if self._probes:
            for i in params:
                self._probes.pop(i, None)

    def written(self, measure: Measure, owners_of: Callable[[int], Collection[int] | None]) -> None:
        """A backward wrote these gradients: mark where an update by hand would show.

        Who updates an optimizer's parameters by hand does so to all of them: one of them stands for all.
        """
        mine = [bool(owners_of(index)) for index in measure.members]
        first = next((place for place, is_owned in enumerate(mine) if is_owned), None)
        if first is not None:
            members = tuple(i for i, is_owned in zip(measure.members, mine, strict=True) if is_owned)
            self._mark(measure, first, members)
        for place, is_owned in enumerate(mine):
            if not is_owned and self._due(measure.members[place]):
                self._mark(measure, place, (measure.members[place],))

    def _due(self, index: int) -> bool:
        count = self._writes[index] = self._writes.get(index, 0) + 1
        return count <= _FIRST_PROBES or not count & (count - 1)

    def _mark(self, measure: Measure, place: int, members: tuple[int, ...]) -> None:
        index = measure.members[place]
        element = self._element(measure, place, index) if self._is_read_at_once(index) else -1
        value = self._value(index, element)
        if value is not None:
            self._probes[index] = _Probe(element, value, members)

    def _element(self, measure: Measure, place: int, index: int) -> int:
        """Where its gradient is not zero; -1 if nowhere."""
        marked = measure.element_of(index)
        if marked >= 0 or not measure.norms.values[place] > 0:
            return marked
        parameter = self._table.refs[index]()
        grad = parameter.grad if parameter is not None else None
        return largest_element(grad) if grad is not None and is_plain(grad) and grad.is_cpu else -1

    def _is_read_at_once(self, index: int) -> bool:
        parameter = self._table.refs[index]()
        return (
            parameter is not None and parameter.is_cpu and is_plain(parameter) and parameter.is_contiguous()
        )

    def _value(self, index: int, element: int) -> float | None:
        if element < 0 or not self._is_read_at_once(index):
            return None
        parameter = self._table.refs[index]()
        if parameter is None or element >= parameter.numel():
            return None
        return float(parameter.detach().view(-1)[element].item())

    def _read(self, indices: Iterable[int]) -> list[int]:
        refs = self._table.refs
        try:
            return [p._version if (p := refs[i]()) is not None else -1 for i in indices]
        except RuntimeError:  # a tensor made under inference mode does not count its changes
            return [_version_of(refs[i]()) for i in indices]


def _version_of(parameter: torch.Tensor | None) -> int:
    return -1 if parameter is None or parameter.is_inference() else parameter._version
