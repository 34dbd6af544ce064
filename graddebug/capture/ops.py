"""The ops of the forward: the user's line of each, and those whose result was not finite.

Told by `graddebug.capture.lines` of each call that made autograd nodes. Lines are kept by the sequence
numbers of those nodes. A result is checked by its norm; only one that is not finite is looked at closely.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from graddebug.capture import underscored
from graddebug.capture.detached_terms import DetachedTerms
from graddebug.capture.norms import norm_of, plain_norm
from graddebug.capture.operands import (
    IndexOf,
    dtype_name,
    elements_of,
    given,
    given_operands,
    is_finite,
    is_readable,
    on_host,
    saved_operands,
)
from graddebug.capture.sites import Sites, of_function
from graddebug.capture.underscored import unoverridden
from graddebug.capture.unused import UnusedLosses
from graddebug.records import Origin, Site

#: Calls remembered in a step that never ends: a program that builds graphs and trains nothing.
REMEMBERED = 200_000

#: Non-finite results looked at in one step: what follows the first few only hands on.
LOOKED_AT = 16

#: They only move values about: what they return tells nothing new.
MOVES = frozenset(
    (
        *("view", "reshape", "transpose", "permute", "t", "unsqueeze", "squeeze", "contiguous", "expand"),
        *("split", "chunk", "__getitem__", "flatten", "unflatten", "view_as", "expand_as", "swapaxes"),
        *("movedim", "narrow", "select", "unbind", "clone", "backward", "reshape_as"),
    )
)


#: They put inf where the program asks for it.
FILLS = frozenset(("MaskedFillBackward0", "WhereBackward0", "MaskedScatterBackward0", "IndexPutBackward0"))


class _Op(NamedTuple):
    """A call: the sequence numbers of its nodes, and the user's line."""

    begin: int
    end: int
    site: Site | None


@dataclass(frozen=True, slots=True)
class BadOp:
    """A call whose result was not finite; ``origin`` is where that was born, None if it handed it on."""

    op: _Op
    nan: bool
    origin: Origin | None


class Ops:
    """What the calls of the step and of the one before it have made, on one thread."""

    def __init__(self, sites: Sites, index_of: IndexOf) -> None:
        self._sites = sites
        self._index_of = index_of
        self._thread = threading.get_ident()
        self._ops: list[_Op] = []
        self._bad: list[BadOp] = []
        self._kept_from = (0, 0)
        #: Lines whose inf did no harm so far: a mask is filled with -inf on purpose.
        self._on_purpose: set[Site | None] = set()
        #: Norms of what the last call returned, by identity and version.
        self._norms: dict[tuple[int, int], float] = {}
        self.unused = UnusedLosses(self.origins)
        self.terms = DetachedTerms()

    def ordinary_ran(self, function: Any, result: Any, begin: int, end: int) -> bool:
        """Take in a call that returned one ordinary tensor of finite numbers; False if it did not."""
        self._norms = {}
        if getattr(function, "__name__", "") not in MOVES:
            with unoverridden():
                norm = plain_norm(result)
                if not 0 <= norm < math.inf or result.numel() == 1:  # a loss, or a term of one
                    return False
                self._norms[id(result), result._version] = norm
            self.unused.newest = None
        self._add(_Op(begin, end, self._sites.here(4)))
        return True

    def _add(self, op: _Op) -> None:
        self._ops.append(op)
        if len(self._ops) > REMEMBERED:
            self._forget_half()

    def ran(
        self,
        function: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None,
        result: Any,
        begin: int,
        end: int,
        *,
        wait: bool = False,
    ) -> None:
        """A call has made the nodes ``begin <= number < end``."""
        op = _Op(begin, end, self._sites.here(3))
        self._add(op)
        self._norms = {}
        name = getattr(function, "__name__", "")
        enough = len(self._bad) - self._kept_from[1] >= LOOKED_AT
        if name in MOVES:
            return
        self.unused.newest = None
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if not is_readable(tensor) or not (wait or on_host(tensor)) or (enough and tensor.numel() != 1):
                continue
            if tensor.numel() == 1:
                self.terms.ran(name, args, tensor, op.site)
            norm = self._norms[id(tensor), tensor._version] = norm_of(tensor)
            if not math.isfinite(norm) and not elements_of(tensor).finite:
                if not enough:
                    inputs = [item for item in given(args, kwargs) if item[1] is not tensor]
                    self._look(op, name, tensor, inputs)
                self._unused(op, tensor)
                return

    def _unused(self, op: _Op, result: torch.Tensor) -> None:
        """It may be a loss that no backward will be called on."""
        mine = self._bad[self._kept_from[1] :]
        self.unused.newest = next((bad.origin for bad in mine if bad.origin and _is_news(bad)), None)
        if result.numel() == 1 and result.grad_fn is not None and op.site not in self._on_purpose:
            self.unused.made(result, nan=bool(result.isnan()))

    def norm_of(self, tensor: torch.Tensor) -> float:
        """The norm of a tensor on the CPU: not taken again for what a module returns of its last call."""
        known = self.known_norm(tensor)
        return norm_of(tensor) if known is None else known

    def known_norm(self, tensor: torch.Tensor) -> float | None:
        """The norm of a tensor that the last call returned; None for any other."""
        node = tensor.grad_fn
        if node is not None and self._norms and threading.get_ident() == self._thread:
            last = self._ops[-1]
            if last.begin <= underscored.node_sequence_number(node) < last.end:
                return self._norms.get((id(tensor), tensor._version))
        return None

    def module_ran(self, begin: int) -> None:
        """A module ran while we had stepped aside: its nodes belong to the line that called it."""
        end = underscored.sequence_number()
        if end > begin:
            self._ops.append(_Op(begin, end, self._sites.here()))

    def _look(self, op: _Op, name: str, result: torch.Tensor, inputs: list[tuple[str, Any]]) -> None:
        found = elements_of(result)
        if not found.nan and op.site in self._on_purpose:
            return
        tensors = [value for _, value in inputs if is_readable(value)]
        bad = [tensor for tensor in tensors if not is_finite(tensor)]
        node, operands = result.grad_fn, given_operands(inputs, self._index_of)
        inner = None if node is None or bad else _first_bad_inside(node, op)
        if inner is not None and inner is not node:
            node, operands = inner, saved_operands(inner, self._index_of)
            op = op._replace(end=underscored.node_sequence_number(node) + 1)
        origin = Origin(
            born="forward",
            op=underscored.node_name(node) if node is not None else "",
            site=op.site,
            shape=underscored.shape_of(result),
            dtype=dtype_name(result),
            nan=found.nan,
            inf=found.inf,
            numel=found.numel,
            operands=operands,
            function=name,
        )
        self._bad.append(BadOp(op, bool(found.nan), self._born(origin, bad)))

    def _born(self, origin: Origin, bad: Sequence[torch.Tensor]) -> Origin | None:
        """The op itself, if what it was given was better than what it returned; else who gave it that."""
        if not bad or (origin.nan and not any(operand.nan for operand in origin.operands)):
            return origin
        first = bad[0]
        if first.is_leaf and self._index_of(first) is not None:
            return replace(origin, born="weights", parameter=self._index_of(first))
        if first.grad_fn is None:
            return replace(origin, born="data")
        return None if self._bad else self._unseen(first)

    def _unseen(self, bad: torch.Tensor) -> Origin:
        """An op that we were not told of: a function with a backward of its own, a compiled region."""
        node, found = bad.grad_fn, elements_of(bad)
        forward = getattr(getattr(type(node), "_forward_cls", None), "forward", None)
        return Origin(
            born="forward",
            op=underscored.node_name(node),
            site=of_function(forward),
            shape=underscored.shape_of(bad),
            dtype=dtype_name(bad),
            nan=found.nan,
            inf=found.inf,
            numel=found.numel,
            operands=saved_operands(node, self._index_of),
        )

    # --- asked ------------------------------------------------------------------------------------

    def site_of(self, number: int) -> Site | None:
        """The line of the call that made the node with this sequence number, on our thread."""
        place = bisect_right(self._ops, number, key=lambda op: op.begin) - 1
        return self._ops[place].site if place >= 0 and number < self._ops[place].end else None

    def sites_of(self, numbers: Sequence[int]) -> list[Site | None]:
        """The line of each node, None where it is not known."""
        if threading.get_ident() != self._thread:
            return [None] * len(numbers)
        return [self.site_of(number) for number in numbers]

    def origins(self, numbers: Collection[int]) -> list[tuple[Origin, int]]:
        """Where the forward made NaN or inf that came into a graph, in order; not inf put there on purpose.

        ``numbers`` are the sequence numbers of the graph's nodes; each origin comes with its node's.
        """
        found = []
        for bad in self._bad:
            if bad.origin is None or not _is_news(bad):
                continue
            number = max((n for n in range(bad.op.begin, bad.op.end) if n in numbers), default=None)
            if number is not None:
                found.append((bad.origin, number))
        return found

    def _forget_half(self) -> None:
        del self._ops[: REMEMBERED // 2]
        self._kept_from = (max(0, self._kept_from[0] - REMEMBERED // 2), self._kept_from[1])

    def forget_old(self, *, trouble: bool) -> None:
        """Drop the step before the last one; without trouble its inf was meant."""
        if not trouble:
            self._on_purpose.update(bad.op.site for bad in self._bad if not bad.nan)
        self._norms = {}
        ops, bad = self._kept_from
        del self._ops[:ops], self._bad[:bad]
        self._kept_from = (len(self._ops), len(self._bad))


def _is_news(bad: BadOp) -> bool:
    """Whether it is not inf that the program put there on purpose."""
    return bad.nan or bad.origin is None or bad.origin.op not in FILLS


def _first_bad_inside(last: Any, op: _Op) -> Any:
    """The first node of a call whose saved result is not finite: one call of torch may make several nodes."""
    nodes = [last]
    for node in nodes:  # grows while we walk
        for child, _ in node.next_functions:
            if child is not None and child not in nodes and _is_of(child, op):
                nodes.append(child)
    if len(nodes) == 1:
        return None
    for node in sorted(nodes, key=underscored.node_sequence_number):
        for name, tensor, _ in underscored.raw_saved(node):
            if name.startswith("result") and is_readable(tensor) and tensor.is_cpu and not is_finite(tensor):
                return node
    return None


def _is_of(node: Any, op: _Op) -> bool:
    return op.begin <= underscored.node_sequence_number(node) < op.end
