"""Where a forward stopped being finite, told from what its graph saved: its ops were not measured.

Nodes keep some of their operands and results for the backward. The first of them that is not finite lies
at, or just behind, the op where that began.
"""

from __future__ import annotations

from typing import Any

import torch

from graddebug.capture import underscored
from graddebug.capture.graph import ACCUMULATE_GRAD, Walk
from graddebug.capture.operands import (
    IndexOf,
    dtype_name,
    elements_of,
    is_finite,
    is_readable,
    saved_operands,
)
from graddebug.records import Origin

#: What nodes call the results that they save; everything else they save is an operand.
_RESULTS = ("result", "output", "values", "out")


def first_bad(seen: Walk, index_of: IndexOf) -> Origin | None:
    """The first op, in the order of the forward, of which something saved is not finite. CPU only."""
    for place, node in enumerate(seen.nodes):
        if isinstance(node, ACCUMULATE_GRAD):
            leaf: torch.Tensor = node.variable  # type: ignore[attr-defined]
            if is_readable(leaf) and leaf.is_cpu and not is_finite(leaf):
                return _leaf(place, leaf, index_of)
    places = [place for place, node in enumerate(seen.nodes) if type(node) is not ACCUMULATE_GRAD]
    numbers = {place: underscored.node_sequence_number(seen.nodes[place]) for place in places}
    for place in sorted(places, key=numbers.__getitem__):
        for name, tensor, _ in underscored.raw_saved(seen.nodes[place]):
            if is_readable(tensor) and tensor.is_cpu and not is_finite(tensor):
                return _origin(seen, place, name, tensor, index_of)
    return None


def _origin(seen: Walk, place: int, name: str, bad: torch.Tensor, index_of: IndexOf) -> Origin:
    born, maker = "forward", place
    if not name.startswith(_RESULTS):
        child = _maker(seen.nodes[place], bad)
        if child is None:
            born = "data"
        elif type(child) is ACCUMULATE_GRAD:
            born = "weights"
        else:
            maker = seen.nodes.index(child)
    node, found = seen.nodes[maker], elements_of(bad)
    return Origin(
        born=born,
        op=underscored.node_name(node),
        node=maker,
        shape=underscored.shape_of(bad),
        dtype=dtype_name(bad),
        nan=found.nan,
        inf=found.inf,
        numel=found.numel,
        operands=saved_operands(node, index_of),
        parameter=index_of(bad) if born == "weights" else None,
    )


def _leaf(place: int, bad: torch.Tensor, index_of: IndexOf) -> Origin:
    """A weight, or an input whose gradient is wanted, is not finite."""
    found, parameter = elements_of(bad), index_of(bad)
    return Origin(
        born="data" if parameter is None else "weights",
        node=place,
        shape=underscored.shape_of(bad),
        dtype=dtype_name(bad),
        nan=found.nan,
        inf=found.inf,
        numel=found.numel,
        parameter=parameter,
    )


def _maker(node: Any, operand: torch.Tensor) -> Any:
    """The node that made an operand, by shape and dtype; None if no gradient is wanted for it."""
    wanted = (underscored.shape_of(operand), dtype_name(operand))
    for child, slot in node.next_functions:
        if child is None:
            continue
        if isinstance(child, ACCUMULATE_GRAD):
            leaf: torch.Tensor = child.variable  # type: ignore[attr-defined]
            if leaf.data_ptr() == operand.data_ptr():
                return child
            continue
        metadata = underscored.gradient_metadata(child)
        if slot < len(metadata) and metadata[slot] == wanted:
            return child
    return None
