"""Where a bad number can have been born, told from parameters alone: no node was measured.

NaN and inf are handed on to all that lies below. So they were born above every parameter that is bad, and
below every node that also leads to a healthy one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any


def children_of(structure: Sequence[Any]) -> tuple[list[tuple[int, ...]], dict[int, int]]:
    """Each node's children by place, and the parameters at the leaves, from a walk's flat structure."""
    children: list[tuple[int, ...]] = []
    parameters: dict[int, int] = {}
    leaf: list[bool] = []
    for item in structure:
        if isinstance(item, type):
            children.append(())
            leaf.append(item.__name__ == "AccumulateGrad")
        elif leaf[-1]:
            if item is not None:
                parameters[len(children) - 1] = item
        elif item >= 0:
            children[-1] = (*children[-1], item)
    return children, parameters


def frontier(structure: Sequence[Any], bad: Collection[int], healthy: Collection[int]) -> tuple[int, ...]:
    """Places of the nodes at which, or below which, the bad number was born.

    If there is one such node, the second place is the last one, in the order of the backward, that all bad
    parameters lie below.
    """
    children, parameters = children_of(structure)
    leads = _leads(children, {place: index in bad for place, index in parameters.items()})
    good = _leads(children, {place: index in healthy for place, index in parameters.items()})
    only_bad = [leads[place] and not good[place] for place in range(len(children))]
    above = [False] * len(children)
    for place, mine in enumerate(children):
        for child in mine:
            above[child] = above[child] or only_bad[place]
    tops = [place for place in range(len(children)) if only_bad[place] and not above[place]]
    if len(tops) != 1:
        return tuple(tops)
    return (
        tops[0],
        _bottom(tops[0], children, {place for place, index in parameters.items() if index in bad}),
    )


def _bottom(top: int, children: list[tuple[int, ...]], bad: set[int]) -> int:
    """The last node below ``top`` from which all the bad leaves that it leads to can be reached."""
    order = _order(top, children)
    numbered = {place: number for number, place in enumerate(sorted(bad))}
    reached = dict.fromkeys(order, 0)  # the leaves below, a bit each
    for place in reversed(order):
        reached[place] = 1 << numbered[place] if place in bad else 0
        for child in children[place]:
            reached[place] |= reached[child]
    return [place for place in order if reached[place] == reached[top]][-1]


def _order(top: int, children: list[tuple[int, ...]]) -> list[int]:
    """All nodes at and below ``top``, each behind all that lead to it."""
    waiting: dict[int, int] = {top: 0}
    queue = [top]
    for place in queue:  # grows while we walk
        for child in children[place]:
            if child not in waiting:
                queue.append(child)
            waiting[child] = waiting.get(child, 0) + 1
    order = [top]
    for place in order:
        for child in children[place]:
            waiting[child] -= 1
            if not waiting[child]:
                order.append(child)
    return order


def _leads(children: list[tuple[int, ...]], marked: dict[int, bool]) -> list[bool]:
    """Whether each node is marked or leads to one that is."""
    parents: list[list[int]] = [[] for _ in children]
    for place, mine in enumerate(children):
        for child in mine:
            parents[child].append(place)
    result = [marked.get(place, False) for place in range(len(children))]
    queue = [place for place, yes in enumerate(result) if yes]
    for place in queue:  # grows while we walk
        for parent in parents[place]:
            if not result[parent]:
                result[parent] = True
                queue.append(parent)
    return result
