"""What rules about statistics need to know of a model: its layers, and the lines that train them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from graddebug.diagnose.measured import Measured
from graddebug.diagnose.rule import roles
from graddebug.ledger import Ledger, OptimizerLife
from graddebug.records import ParameterInfo, ParameterSet, Role

#: Modules whose rows get a gradient only when they are looked up.
LOOK_UPS = ("Embedding", "EmbeddingBag")


def lines(optimizer: OptimizerLife, params: Collection[int], ledger: Ledger) -> tuple[Role, ...]:
    """The newest backward that wrote any of these parameters, and the newest step of their optimizer."""
    wrote = [
        (at, event) for at, event in ledger.backwards.values() if not set(params).isdisjoint(event.written)
    ]
    backward = max(wrote, key=lambda pair: pair[0])[1] if wrote else None
    return roles(
        backward=backward.site if backward else None, step=optimizer.last.site if optimizer.last else None
    )


def owned_rows(optimizer: OptimizerLife, measured: Measured) -> ParameterSet:
    """The parameters of an optimizer that a stretch has rows for."""
    width = measured.table.shape[1]
    owned = optimizer.owned
    return owned if not owned or owned[-1] < width else tuple(p for p in owned if p < width)


def matrices(params: ParameterSet, table: Sequence[ParameterInfo]) -> list[int]:
    """Those that have at least two dimensions and are not looked up row by row, in the model's order."""
    return [p for p in params if len(table[p].shape) > 1 and table[p].module_type not in LOOK_UPS]


def by_module(params: Collection[int], table: Sequence[ParameterInfo]) -> dict[str, list[int]]:
    """Parameters by the module that holds them."""
    modules: dict[str, list[int]] = {}
    for index in sorted(params):
        modules.setdefault(table[index].module, []).append(index)
    return modules


def row(info: ParameterInfo) -> tuple[str, tuple[int, ...]]:
    """What alike parts have in common: ``experts.0.weight`` and ``experts.3.weight`` differ in a number."""
    return re.sub(r"\d+", "#", info.name), info.shape
