"""Who is who: parameters, modules and optimizers of one watch, under names a user recognises.

Everything is held weakly. A parameter gets its index when it is first seen and keeps it for the run.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import nn

from graddebug.capture import underscored
from graddebug.records import ParameterInfo, ParameterSet

#: Sets of parameters remembered; a training step has a few dozen.
REMEMBERED_SETS = 4096


def _no_parameter() -> None:
    """Stands for the weak reference of a parameter that may not have one just now."""


@dataclass(slots=True)
class Root:
    """A watched module that the user calls directly."""

    ref: weakref.ref[nn.Module]
    name: str
    prefix: str
    params: ParameterSet = ()
    modules: int = 0


def named_parameters(
    module: nn.Module, *, recurse: bool = True, remove_duplicate: bool = True
) -> Iterator[tuple[str, nn.Parameter]]:
    """What ``module.named_parameters`` yields, also where a class gives that name to something else."""
    return nn.Module.named_parameters(module, recurse=recurse, remove_duplicate=remove_duplicate)


def parameters_of(module: nn.Module, *, recurse: bool = True) -> list[nn.Parameter]:
    """The module's parameters, each once."""
    return [parameter for _, parameter in named_parameters(module, recurse=recurse)]


_V = TypeVar("_V")


class ModuleMap(Generic[_V]):
    """Values by module, held weakly; asked in every module call, so quicker than a WeakKeyDictionary."""

    def __init__(self) -> None:
        self._values: dict[int, _V] = {}
        self._refs: dict[int, weakref.ref[nn.Module]] = {}

    def get(self, module: nn.Module) -> _V | None:
        """The module's value, else None."""
        return self._values.get(id(module))

    def __contains__(self, module: nn.Module) -> bool:
        return id(module) in self._values

    def __getitem__(self, module: nn.Module) -> _V:
        return self._values[id(module)]

    def __setitem__(self, module: nn.Module, value: _V) -> None:
        key, forget = id(module), self._forget
        self._values[key] = value
        self._refs[key] = weakref.ref(module, lambda _: forget(key))

    def _forget(self, key: int) -> None:
        self._values.pop(key, None)
        self._refs.pop(key, None)

    def clear(self) -> None:
        """Forget all modules."""
        self._values.clear()
        self._refs.clear()

    def __len__(self) -> int:
        return len(self._values)

    def items(self) -> list[tuple[nn.Module, _V]]:
        """All that are alive."""
        pairs = [(ref(), self._values[key]) for key, ref in list(self._refs.items())]
        return [(module, value) for module, value in pairs if module is not None]


class ParameterTable:
    """Indices, names and weak references of all parameters seen so far.

    ``announce`` is called once for each, in order of its index.
    """

    def __init__(self, announce: Callable[[ParameterInfo], None]) -> None:
        self._announce = announce
        self._index: dict[int, int] = {}
        self._sets: dict[ParameterSet, ParameterSet] = {}
        self.refs: list[Callable[[], torch.Tensor | None]] = []
        self.infos: list[ParameterInfo] = []
        self.trainable: list[bool] = []
        self.module_path: ModuleMap[str] = ModuleMap()
        self.module_params: ModuleMap[ParameterSet] = ModuleMap()
        self.strays: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self.roots: list[Root] = []
        self.root_of: list[int] = []
        self._unregistered: list[int] = []

    def __len__(self) -> int:
        return len(self.refs)

    def index(self, parameter: torch.Tensor) -> int | None:
        """The index of a known parameter, else None."""
        return self._index.get(id(parameter))

    def intern(self, indices: Iterable[int]) -> ParameterSet:
        """The `ParameterSet` of these indices: mostly one and the same object, which is quick to compare."""
        members = tuple(sorted(set(indices)))
        if len(self._sets) > REMEMBERED_SETS:  # experts chosen at random make a new set in every step
            self._sets.clear()
        return self._sets.setdefault(members, members)

    def alive(self) -> list[torch.Tensor | None]:
        """All parameters by index; None where the user dropped one."""
        return [ref() for ref in self.refs]

    # --- adding -----------------------------------------------------------------------------

    def add_root(self, module: nn.Module, *, name: str, prefix: str) -> Root:
        """Watch a module: every parameter in it gets an index and its qualified name."""
        self._bury_roots()
        root = Root(weakref.ref(module), name, prefix)
        self.roots.append(root)
        self._scan(len(self.roots) - 1, module)
        return root

    def _bury_roots(self) -> None:
        """A module that is gone holds its parameters no longer, though an optimizer may."""
        for root in self.roots:
            if root.params and root.ref() is None:
                self._unregistered += root.params
                root.params = ()

    def rescan(self) -> bool:
        """Look at all roots again for modules and parameters added since; True if there were any."""
        before = len(self), len(self.module_path)
        self._bury_roots()
        for number, root in enumerate(self.roots):
            module = root.ref()
            if module is not None:
                self._scan(number, module)
        return (len(self), len(self.module_path)) != before

    def _scan(self, number: int, root_module: nn.Module) -> None:
        root = self.roots[number]
        aliases = _aliases(root_module)
        members = []
        for path, module in root_module.named_modules():
            full = _join(root.prefix, path)
            # The first root that holds a module names it: a second one may be a wrapper around it.
            if module not in self.module_path:
                self.module_path[module] = full
            own = []
            for name, parameter in named_parameters(module, recurse=False):
                also = tuple(_join(root.prefix, alias) for alias in aliases[id(parameter)][1:])
                own.append(self._register(parameter, module, name=_join(full, name), also=also, root=number))
            self.module_params[module] = self.intern(own)
            members += own
        self._unregistered += set(root.params).difference(members)
        root.params = self.intern(members)

    def take_unregistered(self) -> list[int]:
        """Parameters that left a watched module since last asked (their layer was replaced)."""
        gone, self._unregistered = self._unregistered, []
        still = {i for root in self.roots for i in root.params}
        return [i for i in gone if i not in still]

    def _register(
        self, parameter: nn.Parameter, module: nn.Module, *, name: str, also: tuple[str, ...], root: int
    ) -> int:
        known = self.index(parameter)
        if known is not None:
            return known
        return self.add(parameter, name=name, origin="module", module=module, also=also, root=root)

    def add(
        self,
        parameter: torch.Tensor,
        *,
        name: str,
        origin: str,
        module: nn.Module | None = None,
        also: tuple[str, ...] = (),
        root: int = -1,
    ) -> int:
        """Give a parameter its index and announce it."""
        index = len(self.refs)
        self._index[id(parameter)] = index
        self.refs.append(self._ref(parameter))
        self.trainable.append(parameter.requires_grad)
        self.root_of.append(root)
        info = ParameterInfo(
            index=index,
            name=name,
            shape=underscored.shape_of(parameter),
            dtype=str(parameter.dtype).removeprefix("torch."),
            device=str(parameter.device),
            requires_grad=parameter.requires_grad,
            origin=origin,
            module=self.module_path.get(module) or "" if module is not None else "",
            module_type=type(module).__name__ if module is not None else "",
            also=also,
        )
        self.infos.append(info)
        self._announce(info)
        return index

    def _ref(self, parameter: torch.Tensor) -> weakref.ref[torch.Tensor]:
        key, forget = id(parameter), self._index.pop
        return weakref.ref(parameter, lambda _: forget(key, None))

    def let_go(self, parameter: torch.Tensor) -> None:
        """Hold a parameter not even weakly, until `take_back`."""
        index = self.index(parameter)
        if index is not None:
            self.refs[index] = _no_parameter

    def take_back(self, parameter: torch.Tensor) -> None:
        """Hold it as before; it is the same object, whatever it holds now."""
        index = self.index(parameter)
        if index is not None:
            self.refs[index] = self._ref(parameter)

    def release(self) -> None:
        """Hold nothing of the user's, not even weakly."""
        self._index.clear()
        self.refs[:] = [_no_parameter] * len(self.refs)
        self.roots.clear()
        self.strays.clear()
        self.module_path.clear()
        self.module_params.clear()

    # --- parameters nobody registered ---------------------------------------------------------

    def resolve_leaf(self, leaf: torch.Tensor) -> int | None:
        """The index of a leaf of a backward graph; learns unknown parameters; None for other tensors."""
        known = self.index(leaf)
        if known is not None or not isinstance(leaf, nn.Parameter):
            return known
        if self.rescan() and (known := self.index(leaf)) is not None:
            return known
        for stray in list(self.strays):
            for name, parameter in named_parameters(stray, recurse=False):
                if parameter is leaf:
                    path = self._container_path(stray) or f"<{type(stray).__name__}>"
                    return self.add(leaf, name=f"{path}.{name}", origin="unregistered", module=stray)
        path = self._container_path(leaf)
        return self.add(leaf, name=path, origin="unregistered") if path else None

    def _container_path(self, target: object) -> str:
        """Where in a plain list or dict of a watched module ``target`` hides: ``layers[0]``; or ``""``."""
        for module, path in self.module_path.items():
            for name, value in list(vars(module).items()):
                if not name.startswith("_"):
                    for place, item in _contents(value):
                        if item is target:
                            return _join(path, f"{name}{place}")
        return ""


def _contents(value: object, depth: int = 2) -> Iterator[tuple[str, object]]:
    items: Iterable[tuple[object, object]]
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return
    for key, item in items:
        yield f"[{key!r}]", item
        if depth > 1:
            for place, inner in _contents(item, depth - 1):
                yield f"[{key!r}]{place}", inner


def _aliases(module: nn.Module) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for name, parameter in named_parameters(module, remove_duplicate=False):
        found.setdefault(id(parameter), []).append(name)
    return found


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)
