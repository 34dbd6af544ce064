"""Acting the moment a module has been imported, without importing it first.

A launched program sets environment variables, start methods and warnings before its own
``import torch``; importing torch for it would make those come too late.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_IMPORT_SYSTEM = "<frozen importlib._bootstrap_external>"


def when_imported(name: str, act: Callable[[], None]) -> Callable[[], None]:
    """Call ``act`` once, right after the module ``name`` has run; at once if it already has.

    What ``act`` raises comes out of the program's import statement. Returns a function that gives
    the wait up.
    """
    if name in sys.modules:
        act()
        return lambda: None
    waiter = _Waiter(name, act)
    sys.meta_path.insert(0, waiter)
    return waiter.give_up


class _Waiter:
    """Lets the other finders find the module, and has its loader call back after running it once.

    The loader gets an attribute for the time of that one call; the spec and the module keep the
    loader they would have had.
    """

    def __init__(self, name: str, act: Callable[[], None]) -> None:
        self._name = name
        self._act = act
        self._looking = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name or self._looking:
            return None
        self._looking = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._looking = False
        if spec is not None and hasattr(spec.loader, "exec_module"):
            self._follow(spec.loader)
        return spec

    def _follow(self, loader: Any) -> None:
        run = loader.exec_module

        def run_then_act(module: ModuleType) -> None:
            del loader.exec_module
            run(module)
            self.give_up()
            self._act()

        # Python leaves its import system out of tracebacks, and knows it by this file name: a module
        # that fails is told as without us.
        run_then_act.__code__ = run_then_act.__code__.replace(co_filename=_IMPORT_SYSTEM)
        loader.exec_module = run_then_act

    def give_up(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
