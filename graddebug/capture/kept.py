"""Graphs that outlive the step that back-propagated them, and what keeps them.

Every forward's output node has a sentinel that dies with its graph (`graddebug.capture.forwards`), and knows
in which step a backward came by last. How many are alive is one look at a length; they are asked only when
there are more than before. What keeps them is searched for when they are of many steps, a few times in a
run: then Python's garbage is collected first, as cycles that wait for that prove nothing.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from graddebug.capture import underscored
from graddebug.records import Site

#: Past steps whose graphs must be alive before anybody looks for what keeps them; then half as many more.
SUSPICIOUS, MORE = 8, 1.5

#: Steps of which it is remembered which nodes were made in them.
_REMEMBERED = 4096

#: Nodes of a tensor's graph that are asked for their age.
_WALKED = 20_000

#: Tensors of past steps whose holders are asked for.
_ASKED = 8

_CONTAINERS = (list, tuple, dict, deque, set)

SitesOf = Callable[[Sequence[int]], Sequence[Site | None]]


class Sentinel(Protocol):
    """What is alive as long as a forward's graph is."""

    consumed: int
    forward: tuple[Site | None, int, str, bool, int | None]


@dataclass(frozen=True, slots=True)
class Kept:
    """The graphs of a module's forwards of ``steps`` past steps, the ``oldest`` of them first.

    ``held`` is ``"sum"`` (a tensor computed from them), the type of a container that holds tensors with
    them, or ``""``; ``name`` what that is called, ``kept_at`` where the sum was computed.
    """

    site: Site | None
    module: str
    steps: int
    oldest: int
    held: str
    name: str = ""
    kept_at: Site | None = None


@dataclass(slots=True)
class _Alive:
    """Past steps of which graphs of a module are alive, and its newest such forward."""

    module: str
    steps: set[int] = field(default_factory=set)
    newest: int = -1
    site: Site | None = None

    def add(self, sentinel: Sentinel) -> None:
        """One more graph."""
        site, order, *_ = sentinel.forward
        self.steps.add(sentinel.consumed)
        if order > self.newest:
            self.newest, self.site = order, site


class KeptGraphs:
    """Counts, at the end of each step, the past steps whose graphs are alive."""

    def __init__(self, sentinels: Collection[Sentinel], sites_of: SitesOf) -> None:
        self._sentinels = sentinels
        self._sites_of = sites_of
        self._look_at = SUSPICIOUS
        self._limits: dict[str, int] = {}
        self._begun: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self._begun.append((0, underscored.sequence_number()))

    def step_over(self, step: int) -> list[Kept]:
        """What there is to tell at the end of a step."""
        alive = len(self._sentinels)
        self._begun.append((step + 1, underscored.sequence_number()))
        if alive < self._look_at:
            self._look_at = min(self._look_at, alive + SUSPICIOUS)
            return []
        known = self._alive(step)
        if any(self._lacks(one) <= 0 for one in known):
            gc.collect()
            known = self._alive(step)
        found = self._told([one for one in known if self._lacks(one) <= 0])
        lacking = [self._lacks(one) for one in known]
        self._look_at = len(self._sentinels) + max(min(lacking, default=SUSPICIOUS), 1)
        return found

    def _alive(self, step: int) -> list[_Alive]:
        """By module, the one that ran last (and on the results of others) first."""
        found: dict[str, _Alive] = {}
        for sentinel in list(self._sentinels):
            if 0 <= sentinel.consumed < step:
                module = sentinel.forward[2]
                found.setdefault(module, _Alive(module)).add(sentinel)
        return sorted(found.values(), key=lambda one: -one.newest)

    def _lacks(self, one: _Alive) -> int:
        return self._limits.get(one.module, SUSPICIOUS) - len(one.steps)

    def _told(self, suspects: list[_Alive]) -> list[Kept]:
        """What keeps them; modules that ran on each other's results are kept by one thing."""
        if not suspects:
            return []
        for one in suspects:
            self._limits[one.module] = int(len(one.steps) * MORE)
        first, oldest = suspects[0], min(suspects[0].steps)
        begin = next((number for step, number in self._begun if step >= oldest), 0)
        border = self._begun[-2][1]
        old, new = _tensors(begin, border)
        told = (first.site, first.module, len(first.steps), oldest)
        holder = _holder(old) if len(old) >= len(first.steps) // 2 else None
        if holder is None:
            return [Kept(*told, *self._sum(new, border))]
        if isinstance(holder, deque) and holder.maxlen is not None:
            return []
        return [Kept(*told, type(holder).__name__, _name_of(holder))]

    def _sum(self, new: list[torch.Tensor], border: int) -> tuple[str, str, Site | None]:
        """The tensor of the newest step whose graph goes furthest back, if any does."""
        ages = [(_oldest(tensor.grad_fn), place) for place, tensor in enumerate(new)]
        oldest, place = min(ages, default=(border, 0))
        if oldest >= border:
            return "", "", None
        number = underscored.node_sequence_number(new[place].grad_fn)
        return "sum", _name_of(new[place]), self._sites_of([number])[0]


# --- what holds them ----------------------------------------------------------------------------


def _tensors(begin: int, border: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Tensors that were computed since the beginning and before the border, and after it; newest first."""
    numbered: list[tuple[int, torch.Tensor]] = []
    for thing in gc.get_objects():
        # type() instead of isinstance(): asking proxies for their __class__ could run their code.
        if issubclass(type(thing), torch.Tensor) and (node := _node_of(thing)) is not None:
            numbered.append((underscored.node_sequence_number(node), thing))
    numbered.sort(key=lambda pair: -pair[0])
    old = [tensor for number, tensor in numbered if begin <= number < border]
    return old, [tensor for number, tensor in numbered if number >= border]


def _node_of(tensor: torch.Tensor) -> Any:
    try:
        return tensor.grad_fn
    except RuntimeError:  # a view that was changed in a way that autograd refuses
        return None


def _oldest(root: Any) -> int:
    """The smallest number of the nodes that a node leads to."""
    nodes = {root: None}
    queue = [root]
    for node in queue:  # grows while we walk
        if len(queue) < _WALKED:
            new = [child for child, _ in node.next_functions if child is not None and child not in nodes]
            nodes.update(dict.fromkeys(new))
            queue += dict.fromkeys(new)
    return min(underscored.node_sequence_number(node) for node in queue)


def _holder(things: Sequence[object], depth: int = 3) -> object:
    """A container that holds several of these, or of tuples and the like of them; None if there is none."""
    asked = things[:_ASKED]
    ids = {id(thing) for thing in asked}
    holders = [holder for holder in gc.get_referrers(*asked) if holder is not things and holder is not asked]
    holders = [holder for holder in holders if issubclass(type(holder), _CONTAINERS)]
    for holder in holders:
        if sum(id(one) in ids for one in gc.get_referents(holder)) >= max(2, len(asked) // 3):
            return holder
    return _holder(holders, depth - 1) if holders and depth else None


def _name_of(thing: object) -> str:
    """What a global variable or an attribute that holds it is called; ``""`` if none does."""
    for holder in gc.get_referrers(thing) if thing is not None else ():
        names = holder if issubclass(type(holder), dict) else _attributes(holder)
        for name, value in list(names.items()):
            if value is thing and type(name) is str and name.isidentifier():
                return name
    return ""


def _attributes(thing: Any) -> dict[str, object]:
    """Its own, unless reading them could run the program's code."""
    reading: Any = type(thing).__getattribute__
    plain = reading is object.__getattribute__ and not issubclass(type(thing), type)
    return getattr(thing, "__dict__", {}) if plain else {}
