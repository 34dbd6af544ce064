"""Trainable parameters that no backward writes: whether, and how, the modules that own them still run.

Looked at once in a stretch of steps, from sets that capture has anyway. Only calls of modules whose
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

#: Steps in a stretch; the first ones are shorter.
STRETCH = 8

#: Sets of parameters that backwards wrote, remembered with their graph; a program that trains another set in
#: each step must not fill the memory.
_REMEMBERED = 64

_CHECKPOINT = CheckpointFunction.forward.__code__

GRAPH, CHECKPOINT, NO_GRAD = "graph", "checkpoint", "no_grad"


@dataclass(slots=True)
class _Runs:
    """What a module whose parameters are quiet did in this stretch."""

    step: int = -1
    count: int = 0
    how: str = NO_GRAD
    training: bool = False
    site: Site | None = None


#: The newest backward that wrote one set of parameters: the set, its graph, its step.
_Written = tuple[ParameterSet, str | None, int]


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
        self._step = 0
        self._counted = -1
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
        self._written[key] = (params, graph, self._step)
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
        if runs.step == self._step:
            return
        runs.step = self._step
        runs.count += 1
        if runs.count == 1:
            runs.site = self._sites.here()
            if runs.how is NO_GRAD and innermost(_CHECKPOINT, sys._getframe()) is not None:
                runs.how = CHECKPOINT

    def optimizer_stepped(self) -> None:
        """An outermost optimizer step has returned: the first of a step of the training loop counts."""
        if self._journal.step == self._counted:
            return
        self._counted = self._journal.step
        self._step += 1
        if not self._step % STRETCH or (self._step < STRETCH and not self._step & (self._step - 1)):
            self._stretch_over()

    def finish(self) -> None:
        """The watch is left."""
        written = self._written_since()
        if written or self._step > self._since:  # else only forwards came after the last step
            self._tell(self._quiet - written)

    def release(self) -> None:
        """Hold no module, not even weakly."""
        self._watched.clear()
        self.on = False

    # --- stretches ------------------------------------------------------------------------------

    def _stretch_over(self) -> None:
        written = self._written_since()
        if self.on:
            self._tell(self._quiet - written)
        self._since = self._step
        trainable = self._table.trainable
        if len(written) < sum(trainable):
            quiet = (i for i, wants in enumerate(trainable) if wants and i not in written)
            self._watch(frozenset(i for i in quiet if self.owners_of(i) and self._wants(i)))
        elif self._quiet:
            self._watch(frozenset())

    def _wants(self, index: int) -> bool:
        """Whether it requires grad now: the table learns that only when an optimizer that owns it steps."""
        parameter = self._table.refs[index]()
        return parameter is not None and parameter.requires_grad

    def _written_since(self) -> frozenset[int]:
        """What backwards wrote in this stretch."""
        sets = [params for params, _, step in self._written.values() if step >= self._since]
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
                own = quiet.intersection(self._table.module_params.get(module) or ())
                for index in filter(self._wants, own):
                    key = (runs.how, runs.training, runs.count, self._in_front(index))
                    found.setdefault(key, []).append(index)
                    sites.setdefault(key, runs.site)
            self._watched[module] = _Runs()
        for (how, training, steps, in_front), params in found.items():
            self._journal.note(
                QuietForwards,
                sites[how, training, steps, in_front],
                params=self._table.intern(params),
                how=how,
                training=training,
                steps=steps,
                in_front=in_front,
            )

    def _in_front(self, index: int) -> ParameterSet:
        """By the newest graph that reached it; empty for one that none did."""
        for params, graph, _ in reversed(self._written.values()):
            if index in params:
                return () if graph is None else self._fronts.of(graph, index)
        return ()
