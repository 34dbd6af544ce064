"""Parameters in cohorts: those that have lived the same life share one `Life`.

So a step over a thousand parameters costs what a step over one costs.

An event that touches part of a cohort splits it. Cohorts are never joined again: their number is
bounded by the ways in which a program tells its parameters apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy

from graddebug.ledger.life import Life
from graddebug.records import ParameterInfo, ParameterSet

_KNOWN_SETS = 512  # programs that touch another random set each step must not fill the memory


class Cohort:
    """Parameters that share one `Life`; ``members`` are sorted."""

    __slots__ = ("life", "members")

    def __init__(self, members: ParameterSet, life: Life) -> None:
        self.members = members
        self.life = life


class Partition:
    """All parameters of a run, each in exactly one cohort."""

    def __init__(self, parameters: Sequence[ParameterInfo]) -> None:
        self._parameters = parameters
        self._home: list[Cohort] = []
        self._known: dict[ParameterSet, tuple[Cohort, ...]] = {}
        self.generation = 0  # changes whenever cohorts do

    def __iter__(self) -> Iterator[Cohort]:
        self._grow(())
        return iter(dict.fromkeys(self._home))

    def life(self, parameter: int) -> Life:
        """The life of one parameter."""
        self._grow((parameter,))
        return self._home[parameter].life

    def of(self, params: ParameterSet) -> tuple[Cohort, ...]:
        """Cohorts that together hold exactly ``params``; splits those that reach beyond them."""
        found = self._known.get(params)
        return self._gather(params) if found is None else found

    def overlapping(self, params: ParameterSet) -> tuple[Cohort, ...]:
        """Cohorts with a member in ``params``; splits nothing."""
        self._grow(params)
        return tuple(dict.fromkeys(self._home[p] for p in params))

    def refine(self, *sets: ParameterSet) -> None:
        """Split until each of the sets is made of whole cohorts."""
        for params in sets:
            if params:
                self.of(params)

    def _gather(self, params: ParameterSet) -> tuple[Cohort, ...]:
        self._grow(params)
        wanted: dict[Cohort, list[int]] = {}
        for parameter in params:
            wanted.setdefault(self._home[parameter], []).append(parameter)
        found = tuple(self._part(cohort, tuple(members)) for cohort, members in wanted.items())
        if len(self._known) >= _KNOWN_SETS:
            self._known.clear()
        self._known[params] = found
        return found

    def _part(self, cohort: Cohort, members: ParameterSet) -> Cohort:
        if len(members) == len(cohort.members):
            return cohort
        leaving = set(members)
        cohort.members = tuple(p for p in cohort.members if p not in leaving)
        return self._settle(members, copy(cohort.life))

    def _settle(self, members: ParameterSet, life: Life) -> Cohort:
        cohort = Cohort(members, life)
        for member in members:
            self._home[member] = cohort
        self._known.clear()
        self.generation += 1
        return cohort

    def _grow(self, params: ParameterSet) -> None:
        size, known = max(len(self._parameters), params[-1] + 1 if params else 0), len(self._home)
        if size == known:
            return
        groups: dict[bool, list[int]] = {}
        for index in range(known, size):
            trainable = index >= len(self._parameters) or self._parameters[index].requires_grad
            groups.setdefault(trainable, []).append(index)
        self._home.extend(Cohort((), Life()) for _ in range(known, size))
        for trainable, members in groups.items():
            self._settle(tuple(members), Life(trainable=trainable))
