"""Numbers added to a loss that were computed through a graph, and carry none any more.

Where a number comes from cannot be seen once it is detached. But it can be recognised: what is added is the
same multiple of what one line computes, time after time, while that changes. So the results that are one
number are noted while ops are measured, and what is added to a loss without a graph is compared with those
that no backward of the step runs through.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from graddebug.capture import underscored
from graddebug.capture.operands import is_readable
from graddebug.records import Site

#: How often the same multiple must have been seen before it is told; then with every doubling.
PROVEN = 5

#: Relative: what counts as the same multiple (float32 has 7 digits), and as another value.
_SAME, _OTHER = 1e-5, 1e-4

#: Results and summands looked at in a step, and pairs of lines remembered.
_MOST, _PAIRS = 64, 256

_ADDS = frozenset(
    (
        *("add", "__add__", "__radd__", "__iadd__", "add_"),
        *("sub", "__sub__", "__rsub__", "__isub__", "sub_", "rsub", "subtract"),
    )
)

#: Through what a summand stays one, by autograd's name without ``Backward0``.
_LINEAR = frozenset(("Add", "Sub", "Rsub", "Mul", "Div", "Neg", "Sum", "Mean", "ToCopy", "View", "Squeeze"))


class _Place(NamedTuple):
    """A line, and how often it had made a number before in that step."""

    site: Site | None
    before: int


class _Scalar(NamedTuple):
    """A result that is one number: its node, and the nodes that one was made from."""

    number: int
    value: float
    place: _Place
    inputs: tuple[int, ...]


class _Term(NamedTuple):
    """What was added to a number with a graph, by the node with this sequence number."""

    number: int
    value: float
    place: _Place


class _Match(NamedTuple):
    """A summand of a loss, and a result that it may have come from."""

    term: _Term
    source: _Scalar
    backward: Site | None


@dataclass(slots=True)
class _Pair:
    """What is known of a summand's line and a result's."""

    factor: float
    value: float
    count: int = 1

    def again(self, factor: float, value: float) -> None:
        """The same multiple of another value is proof; another multiple, a new beginning."""
        if abs(factor - self.factor) > _SAME * abs(self.factor):
            self.factor, self.count = factor, 1
        elif abs(value - self.value) > _OTHER * abs(self.value):
            self.count += 1
        self.value = value


@dataclass(frozen=True, slots=True)
class Detached:
    """A term that was ``factor`` times what the line ``source`` computed, ``count`` times in a row."""

    backward: Site | None
    added_at: Site | None
    source: Site | None
    factor: float
    count: int


class DetachedTerms:
    """The numbers of the step in progress, and the pairs of lines of those before it."""

    def __init__(self) -> None:
        self._scalars: list[_Scalar] = []
        self._terms: list[_Term] = []
        self._matches: list[_Match] = []
        self._made: Counter[Site | None] = Counter()
        self._pairs: dict[tuple[_Place, _Place], _Pair] = {}

    def ran(self, name: str, args: Sequence[Any], result: torch.Tensor, site: Site | None) -> None:
        """A call has made nodes and returned one number, which can be read."""
        node = result.grad_fn
        if node is None or not result.is_cpu or not result.is_floating_point():
            return
        number = underscored.node_sequence_number(node)
        place = _Place(site, self._made[site])
        self._made[site] += 1
        if name in _ADDS and len(self._terms) < _MOST:
            self._terms += [_Term(number, value, place) for value in _without_graph(args)]
        if len(self._scalars) < _MOST:
            children = (child for child, _ in node.next_functions if child is not None)
            inputs = tuple(underscored.node_sequence_number(child) for child in children)
            self._scalars.append(_Scalar(number, float(result.detach()), place, inputs))

    def backward(self, nodes: Sequence[Any], roots: int, site: Site | None) -> None:
        """A backward runs through these nodes, from the first few of them on."""
        if not self._scalars:
            return  # ops are not measured
        reached = {underscored.node_sequence_number(node) for node in nodes}
        self._matches = [match for match in self._matches if match.source.number not in reached]
        self._scalars = [scalar for scalar in self._scalars if scalar.number not in reached]
        summands = _summands(nodes[:roots])
        for term in self._terms:
            if term.number in summands:
                self._matches += _matches(term, self._scalars, summands, site)

    def unseen(self) -> None:
        """A backward ran that was not looked at."""
        self._terms, self._matches = [], []

    def step_over(self) -> list[Detached]:
        """What is proven with this step; of several sources of a term the one computed last."""
        matches, self._matches = self._matches, []
        self._terms, self._scalars = [], []
        self._made.clear()
        found: dict[Site | None, Detached] = {}
        for match in sorted(matches, key=lambda match: match.source.number):
            pair = self._seen(match)
            if pair is not None and _is_due(pair.count):
                added, source = match.term.place.site, match.source.place.site
                found[added] = Detached(match.backward, added, source, pair.factor, pair.count)
        return list(found.values())

    def _seen(self, match: _Match) -> _Pair | None:
        key = (match.term.place, match.source.place)
        factor = match.term.value / match.source.value
        pair = self._pairs.get(key)
        if pair is not None:
            before = pair.count
            pair.again(factor, match.source.value)
            return pair if pair.count > before else None
        if len(self._pairs) < _PAIRS:
            self._pairs[key] = _Pair(factor, match.source.value)
        return None


def _is_due(count: int) -> bool:
    times, rest = divmod(count, PROVEN)
    return times > 0 and not rest and not times & (times - 1)


def _is_number(thing: Any) -> bool:
    return is_readable(thing) and thing.is_cpu and thing.is_floating_point() and thing.numel() == 1


def _without_graph(args: Sequence[Any]) -> Iterator[float]:
    """The value of an operand that has no graph, beside one that has."""
    for operand in args[:2]:
        if type(operand) is float:
            yield operand
        elif _is_number(operand) and not operand.requires_grad:
            yield float(operand)


def _summands(roots: Sequence[Any]) -> set[int]:
    """The numbers of the nodes that add up to the loss, and of those that they add."""
    found: set[int] = set()
    queue = list(roots)
    for node in queue:  # grows while we walk
        number = underscored.node_sequence_number(node)
        if number in found:
            continue
        found.add(number)
        shapes = [shape for shape, _ in underscored.gradient_metadata(node)]
        if all(math.prod(shape) == 1 for shape in shapes):
            stem = underscored.node_name(node).partition("Backward")[0]
            queue += [child for child, _ in node.next_functions if child is not None and stem in _LINEAR]
    return found


def _matches(
    term: _Term, scalars: Sequence[_Scalar], summands: set[int], site: Site | None
) -> Iterator[_Match]:
    """The results that a term may have come from, made before it.

    Not what was computed from another summand: ``loss + (hard - loss).detach()`` is on purpose.
    """
    for scalar in scalars:
        usable = math.isfinite(scalar.value) and scalar.value and math.isfinite(term.value) and term.value
        if usable and scalar.number < term.number and summands.isdisjoint(scalar.inputs):
            yield _Match(term, scalar, site)
