"""The mode of the layers that train and eval tell apart, read in each outermost forward that builds a graph.

The flag of the outermost module can lie: a wrapper in train mode around a model that was left in eval mode.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import nn

from graddebug.capture.journal import Journal
from graddebug.capture.parameters import ModuleMap, ParameterTable, parameters_of
from graddebug.records import ModulesInEval

#: Forwards of one module after which its layers are listed anew.
RELIST = 1024


@dataclass(slots=True)
class _Layers:
    """The layers of one outermost module whose mode matters, and their flags when they were read last."""

    refs: list[weakref.ref[nn.Module]] = field(default_factory=list)
    flags: list[bool] | None = None
    left: int = 0
    told: bool = False


class Modes:
    """Turns flags that changed into ModulesInEval events."""

    def __init__(self, table: ParameterTable, journal: Journal) -> None:
        self._table = table
        self._journal = journal
        self._layers: ModuleMap[_Layers] = ModuleMap()

    def look(self, module: nn.Module, name: str) -> None:
        """An outermost module ran forward and built a graph; its own Forward is told after this."""
        known = self._layers.get(module)
        if known is None:
            known = self._layers[module] = _Layers()
        if not known.left:
            known.refs, known.left = [weakref.ref(layer) for layer in mode_layers(module)], RELIST
        known.left -= 1
        flags = [layer.training for ref in known.refs if (layer := ref()) is not None]
        if len(flags) < len(known.refs):
            known.left = 0  # a layer is gone: list them anew next time
        if flags != known.flags:
            known.flags = flags
            self._tell(module, name, known)

    def _tell(self, module: nn.Module, name: str, known: _Layers) -> None:
        parts = list(parts_in_eval(module))
        if not parts and not known.told:
            return
        known.told = bool(parts)
        layers = {type(one).__name__ for _, part in parts for one in mode_layers(part) if not one.training}
        inside = {id(parameter) for _, part in parts for parameter in parameters_of(part)}
        index = self._table.index
        held = [p for p in parameters_of(module) if id(p) in inside]
        self._journal.note(
            ModulesInEval,
            None,
            module=name,
            parts=tuple(f"{name}.{path}" if path else name for path, _ in parts),
            layers=tuple(sorted(layers)),
            params=self._table.intern(i for p in held if (i := index(p)) is not None),
            rest=len(held) < len(parameters_of(module)),
        )

    def release(self) -> None:
        """Hold no module, not even weakly."""
        self._layers.clear()


def mode_layers(module: nn.Module) -> list[nn.Module]:
    """The dropout and batch norm layers in a module."""
    return [layer for layer in module.modules() if _matters(layer)]


def _matters(layer: nn.Module) -> bool:
    """Whether its output depends on its mode; also in layers of other libraries that are called so."""
    if isinstance(layer, nn.RNNBase):
        return layer.dropout > 0
    kind = _kind(type(layer).__name__)
    if not kind or any(True for _ in layer.children()):
        return False
    if kind == "dropout":
        return getattr(layer, "p", getattr(layer, "drop_prob", 1)) != 0
    return bool(getattr(layer, "track_running_stats", True))


@functools.lru_cache(maxsize=512)
def _kind(class_name: str) -> str:
    name = class_name.lower()
    if "dropout" in name or "droppath" in name:
        return "dropout"
    return "norm" if "batchnorm" in name else ""


def parts_in_eval(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The topmost modules in eval mode that hold such a layer in eval mode, and parameters.

    A layer by itself, or a list of dropouts, was switched because someone meant to.
    """
    children = list(module.named_children())
    if not children:
        return
    if not module.training:
        if parameters_of(module) and any(not layer.training for layer in mode_layers(module)):
            yield path, module
        return
    for name, child in children:
        yield from parts_in_eval(child, f"{path}.{name}" if path else name)
