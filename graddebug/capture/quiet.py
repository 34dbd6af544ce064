"""Trainable parameters that no backward writes: whether, and how, the modules that own them still run.

Looked at once in a stretch of windows, from sets that capture has anyway. Only calls of modules whose
parameters were quiet for a whole stretch cost anything.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.checkpoint import CheckpointFunction

from graddebug.capture.frames import innermost
from graddebug.capture.in_front import Fronts
from graddebug.capture.journal import Journal
from graddebug.capture.parameters import ModuleMap, ParameterTable
from graddebug.capture.sites import Sites
from graddebug.graph import BackwardGraph
from graddebug.records import ParameterSet, QuietForwards, Site

#: Windows in a stretch; the first ones are shorter.
STRETCH = 8

#: Sets of parameters that backwards wrote, remembered with their graph; a program that trains another set in
#: each step must not fill the memory.
_REMEMBERED = 64

_CHECKPOINT = CheckpointFunction.forward.__code__

GRAPH, CHECKPOINT, NO_GRAD = "graph", "checkpoint", "no_grad"


@dataclass(slots=True)
class _Runs:
    """What a module whose parameters are quiet did in this stretch."""

    window: int = -1
    count: int = 0
    how: str = NO_GRAD
    training: bool = False
    site: Site | None = None


@dataclass(frozen=True, slots=True)
class _Written:
    """The newest backward that wrote one set of parameters."""

    params: ParameterSet
    graph: str | None
    window: int


class Quiet:
    """Turns the runs of such modules into QuietForwards events."""

    def __init__(self, table: ParameterTable, journal: Journal, sites: Sites) -> None:
        self._table = table
        self._sites = sites
        self._journal = journal
        self._fronts = Fronts(table)
        self._written: dict[int, _Written] = {}
        self._quiet: frozenset[int] = frozenset()
        self._watched: ModuleMap[_Runs] = ModuleMap()
        self._window = 0
        self._since = 0
        #: Whether any module is watched: asked in every module call.
        self.on = False
        #: Set by Optimizers: who owns a parameter.
        self.owners_of: Callable[[int], Collection[int] | None] = lambda _: None

    def described(self, graph: BackwardGraph) -> None:
        """A backward graph of a structure not seen before."""
        self._fronts.add(graph)

    def written(self, params: ParameterSet, graph: str | None) -> None:
        """A backward wrote these (a set that is one and the same object in every step)."""
        key = id(params)
        self._written.pop(key, None)  # the newest comes last
        self._written[key] = _Written(params, graph, self._window)
        if len(self._written) > _REMEMBERED:
            del self._written[next(iter(self._written))]

    def ran(self, module: nn.Module) -> None:
        """A module ran forward; to be called while `on`."""
        runs = self._watched.get(module)
        if runs is None:
            return
        runs.training = runs.training or module.training
        if runs.how is not GRAPH and torch.is_grad_enabled():
            runs.how = GRAPH
        if runs.window == self._window:
            return
        runs.window = self._window
        runs.count += 1
        if runs.count == 1:
            runs.site = self._sites.here()
        if runs.how is NO_GRAD and innermost(_CHECKPOINT, sys._getframe()) is not None:
            runs.how = CHECKPOINT

    def window_over(self, windows: int) -> None:
        """An outermost optimizer step has returned, the ``windows``-th of them."""
        self._window = windows
        if not windows % STRETCH or (windows < STRETCH and not windows & (windows - 1)):
            self._stretch_over()

    def finish(self) -> None:
        """The watch is left."""
        if self._window > self._since:
            self._tell(self._quiet - self._written_since())

    def release(self) -> None:
        """Hold no module, not even weakly."""
        self._watched.clear()
        self.on = False

    # --- stretches ------------------------------------------------------------------------------

    def _stretch_over(self) -> None:
        written = self._written_since()
        if self.on:
            self._tell(self._quiet - written)
        self._since = self._window
        trainable = self._table.trainable
        if len(written) < sum(trainable):
            quiet = (i for i, wants in enumerate(trainable) if wants and i not in written)
            self._watch(frozenset(i for i in quiet if self.owners_of(i)))
        elif self._quiet:
            self._watch(frozenset())

    def _written_since(self) -> frozenset[int]:
        """What backwards wrote in this stretch."""
        sets = [one.params for one in self._written.values() if one.window >= self._since]
        return frozenset(sets[0]) if len(sets) == 1 else frozenset().union(*sets)

    def _watch(self, quiet: frozenset[int]) -> None:
        if quiet != self._quiet:
            self._quiet = quiet
            self._watched.clear()
            for module, params in self._table.module_params.items() if quiet else ():
                if not quiet.isdisjoint(params):
                    self._watched[module] = _Runs()
        self.on = len(self._watched) > 0

    def _tell(self, quiet: frozenset[int]) -> None:
        """What ran, the parameters that have all in common together."""
        found: dict[tuple[str, bool, int, ParameterSet], list[int]] = {}
        sites: dict[object, Site | None] = {}
        for module, runs in self._watched.items():
            if runs.count:
                for index in quiet.intersection(self._table.module_params.get(module) or ()):
                    key = (runs.how, runs.training, runs.count, self._in_front(index))
                    found.setdefault(key, []).append(index)
                    sites.setdefault(key, runs.site)
            self._watched[module] = _Runs()
        for (how, training, windows, in_front), params in found.items():
            self._journal.note(
                QuietForwards,
                sites[how, training, windows, in_front],
                params=self._table.intern(params),
                how=how,
                training=training,
                windows=windows,
                in_front=in_front,
            )

    def _in_front(self, index: int) -> ParameterSet:
        """By the newest graph that reached it; empty for one that none did."""
        newest = next((one for one in reversed(self._written.values()) if index in one.params), None)
        return () if newest is None or newest.graph is None else self._fronts.of(newest.graph, index)
