"""Reentrant checkpoints that no gradient comes back through, and which modules ran inside of them.

Such a checkpoint runs its function without a graph and hangs itself into the graph of its inputs instead. If
none of those wants a gradient there is nothing to hang on to, and what is inside gets none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from torch import nn

from graddebug.capture.parameters import ParameterTable
from graddebug.records import ParameterSet, Site

#: Windows in which one such checkpoint is told; then that is known.
_TOLD = 32


class Cuts(threading.local):
    """Those under way on each thread, by the modules that have run inside of them."""

    def __init__(self, table: ParameterTable) -> None:
        self._table = table
        self._told: dict[tuple[Site | None, ParameterSet], tuple[int, int]] = {}
        self.open: list[list[nn.Module]] = []

    def begin(self) -> None:
        """A checkpoint begins of whose inputs none wants a gradient."""
        self.open.append([])

    def ran(self, module: nn.Module) -> None:
        """A module's forward ended."""
        self.open[-1].append(module)

    def end(self, site: Callable[[], Site | None], window: int) -> tuple[Site | None, ParameterSet] | None:
        """It has returned: its line and the trainable parameters inside, once in each window; else None."""
        modules = self.open.pop()
        params = self._trainable(modules)
        if not params:
            return None
        found = (site(), params)
        last, count = self._told.get(found, (-1, 0))
        if last == window or count >= _TOLD:
            return None
        self._told[found] = (window, count + 1)
        return found

    def _trainable(self, modules: list[nn.Module]) -> ParameterSet:
        table = self._table
        inside = {index for module in modules for index in table.module_params.get(module) or ()}
        return table.intern(i for i in inside if (p := table.refs[i]()) is not None and p.requires_grad)
