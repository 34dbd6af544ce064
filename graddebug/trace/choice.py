"""Which measured tables are worth their room: fewer as the run goes on, but those around trouble."""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

from graddebug.trace.retention import WINDOW

#: Tables kept of every doubling of their number: 64 of the first 64, 64 of those up to 256, …
A_DOUBLING = 64

#: Measured tables kept on either side of a step in trouble, if they are of steps within `WINDOW`.
AROUND = 8


class OfStep(Protocol):
    """Anything measured in a step."""

    @property
    def step(self) -> int:
        """Number of the step."""


T = TypeVar("T", bound=OfStep)


def is_sparse(count: int) -> bool:
    """Whether the one that comes after ``count`` others is among some 64 of every doubling."""
    return count % max(1, (1 << count.bit_length() - 1 if count else 0) // A_DOUBLING) == 0


class Choice(Generic[T]):
    """Takes tables in the order they were measured and gives back those to keep.

    Trouble in every step is thinned like everything else: it makes at most as many tables again.
    """

    def __init__(self) -> None:
        self._measured = 0
        self._in_trouble = 0
        self._before: deque[T] = deque(maxlen=AROUND)
        self._trouble = -WINDOW - 1
        self._wanted = 0

    def measured(self, table: T) -> list[T]:
        """The table if it is kept, else nothing for now: `around` may still ask for it."""
        self._measured += 1
        if is_sparse(self._measured - 1):
            return [table]
        if self._is_near(table):
            self._wanted -= 1
            return [table] if self._counts_for_trouble() else []
        self._before.append(table)
        return []

    def around(self, step: int) -> list[T]:
        """Something went wrong in ``step``: the tables from shortly before; those after it will follow."""
        self._trouble, self._wanted = step, AROUND
        near = [table for table in self._before if abs(table.step - step) <= WINDOW]
        self._before.clear()
        return [table for table in near if self._counts_for_trouble()]

    def _is_near(self, table: T) -> bool:
        return self._wanted > 0 and abs(table.step - self._trouble) <= WINDOW

    def _counts_for_trouble(self) -> bool:
        sparse = is_sparse(self._in_trouble)
        self._in_trouble += 1
        return sparse
