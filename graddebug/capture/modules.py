"""Which module is running, and which autograd nodes were made in it.

Nodes carry rising sequence numbers, so a module's forward owns all nodes whose numbers lie between
the counter at its begin and at its end: one read of a counter each way instead of a hook a node.
"""

from __future__ import annotations

from collections.abc import Sequence


class ModuleIntervals:
    """Intervals of sequence numbers by thread, and the module path each belongs to."""

    def __init__(self) -> None:
        self._by_thread: dict[int, list[tuple[int, int, str]]] = {}
        self._kept_from: dict[int, int] = {}

    def add(self, thread: int, begin: int, end: int, path: str) -> None:
        """A module's forward made the nodes ``begin <= number < end``."""
        if end > begin:
            self._by_thread.setdefault(thread, []).append((begin, end, path))

    def forget_old(self) -> None:
        """Drop the intervals of the step before the last one: their graphs are gone, or were described."""
        for thread, intervals in self._by_thread.items():
            kept = self._kept_from.get(thread, 0)
            del intervals[:kept]
            self._kept_from[thread] = len(intervals)

    def place(self, thread: int, numbers: Sequence[int]) -> list[str]:
        """The innermost module path of each node number; ``""`` for nodes made outside all modules."""
        intervals = sorted(self._by_thread.get(thread, ()), key=lambda item: (item[0], -item[1]))
        placed = [""] * len(numbers)
        open_intervals: list[tuple[int, int, str]] = []
        coming = 0
        for node in sorted(range(len(numbers)), key=numbers.__getitem__):
            number = numbers[node]
            while coming < len(intervals) and intervals[coming][0] <= number:
                open_intervals.append(intervals[coming])
                coming += 1
            while open_intervals and open_intervals[-1][1] <= number:
                open_intervals.pop()
            if open_intervals:
                placed[node] = open_intervals[-1][2]
        return placed
