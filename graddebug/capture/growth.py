"""Backward graphs that grow step after step because they reach back into earlier steps.

The number of nodes is known from the walk that each backward begins with. Only where it has grown in several
steps in a row are the nodes asked when they were made: what is merely longer this time is all new.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graddebug.capture import underscored
from graddebug.capture.graph import ACCUMULATE_GRAD
from graddebug.records import Site

#: Steps in a row that the graph of a line must have grown in before it is looked at.
SUSPICIOUS = 4

#: Growth is told for so many steps in a row, then with every doubling.
_TOLD = 64

#: Steps remembered: nothing can be told to be older.
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Grown:
    """A graph that has grown in ``steps`` steps in a row, from ``before`` nodes.

    Its oldest node was made ``reach`` steps ago; ``joint`` is a node of this step that continues what an
    earlier one has made.
    """

    steps: int
    before: int
    reach: int
    joint: Any


@dataclass(slots=True)
class _Line:
    """The largest graph of a line's backwards in its newest step, and in the one before."""

    step: int
    nodes: int
    previous: int = 0
    first: int = 0
    grown: int = 0

    def ran(self, step: int, nodes: int) -> bool:
        """A backward begins; whether it is the first of its step."""
        if step == self.step:
            self.nodes = max(self.nodes, nodes)
            return False
        grows = self.nodes > self.previous > 0
        self.grown = self.grown + 1 if grows else 0
        self.first = self.first if grows and self.grown > 1 else self.previous
        self.previous, self.step, self.nodes = self.nodes, step, nodes
        return True


class Growth:
    """The graphs of each line's backwards, and when each step's last backward began."""

    def __init__(self) -> None:
        self._lines: dict[Site | None, _Line] = {}
        self._begun: dict[int, deque[tuple[int, int]]] = {}

    def look(self, site: Site | None, step: int, nodes: Sequence[Any]) -> Grown | None:
        """A backward that no other one called is about to run; what there is to tell of its graph."""
        line = self._lines.get(site)
        if line is None:
            line = self._lines[site] = _Line(step, len(nodes))
        first = line.ran(step, len(nodes))
        begun = self._begun.setdefault(threading.get_ident(), deque(maxlen=_REMEMBERED))
        found = None
        if first and line.grown >= SUSPICIOUS and (line.grown <= _TOLD or _doubled(line.grown)):
            found = _reaching_back(nodes, step, line, begun)
        if begun and begun[-1][0] == step:
            begun.pop()
        begun.append((step, underscored.sequence_number()))
        return found


def _doubled(count: int) -> bool:
    return count & (count - 1) == 0


def _reaching_back(
    nodes: Sequence[Any], step: int, line: _Line, begun: Sequence[tuple[int, int]]
) -> Grown | None:
    """How far the graph reaches back; None if all of it was made in this step."""
    made = {
        node: underscored.node_sequence_number(node) for node in nodes if type(node) is not ACCUMULATE_GRAD
    }
    earlier = [(then, number) for then, number in begun if then < step]
    if not made or not earlier:
        return None
    oldest, border = min(made.values()), earlier[-1][1]
    if oldest >= border:
        return None
    since = next(then for then, number in earlier if oldest < number)
    return Grown(line.grown, line.first, step - since, _joint(made, border))


def _joint(made: dict[Any, int], border: int) -> Any:
    """The oldest node from after the border that leads to one from before it."""
    joints = [
        (number, place, node)
        for place, (node, number) in enumerate(made.items())
        if number >= border and any(made.get(child, border) < border for child, _ in node.next_functions)
    ]
    return min(joints)[2] if joints else None
