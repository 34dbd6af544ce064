"""What modules returned in a measured forward: norms, and the headroom of those in half precision."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from graddebug.capture import underscored
from graddebug.capture.half import HALF
from graddebug.capture.operands import dtype_name, is_finite
from graddebug.records import MODULE_STATISTICS, ModuleTable


@dataclass(slots=True)
class _Row:
    dtype: str
    norm: float
    absmax: float
    headroom: float
    nonfinite: bool
    op: str
    number: int | None


class ModuleOutputs:
    """The largest output of each module since the last `take`."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}

    def ran(self, module: str, output: torch.Tensor, norm: float) -> None:
        """A module returned a tensor on the CPU, of this norm."""
        known = self._rows.get(module)
        if known is not None and norm <= known.norm:
            return
        node = output.grad_fn
        half = output.dtype in HALF and bool(output.numel())
        absmax = float(output.detach().abs().max()) if half else math.nan
        self._rows[module] = _Row(
            dtype=dtype_name(output),
            norm=norm,
            absmax=absmax,
            headroom=_headroom(absmax, output.dtype) if half else math.nan,
            nonfinite=not math.isfinite(norm) and not is_finite(output),
            op=underscored.node_name(node) if node is not None else "",
            number=underscored.node_sequence_number(node) if node is not None else None,
        )

    def finite(self, module: str, dtype: torch.dtype, norm: float) -> None:
        """A module returned finite numbers in full precision."""
        known = self._rows.get(module)
        if known is None or norm > known.norm:
            self._rows[module] = _Row(_name(dtype), norm, math.nan, math.nan, False, "", None)

    def largest(self, dtype: torch.dtype) -> tuple[str, float, str, int | None] | None:
        """The module whose finite output of this dtype was largest: value, op and number of its node."""
        name = str(dtype).removeprefix("torch.")
        rows = [(m, r) for m, r in self._rows.items() if r.dtype == name and math.isfinite(r.absmax)]
        module, row = max(rows, key=lambda item: item[1].absmax, default=("", None))
        return (module, row.absmax, row.op, row.number) if row is not None else None

    def take(self, step: int) -> ModuleTable | None:
        """The table of the step, and an empty one for the next; None if nothing was measured."""
        rows, self._rows = self._rows, {}
        if not rows:
            return None
        values = np.array(
            [(row.norm, row.absmax, row.headroom, row.nonfinite) for row in rows.values()], dtype=np.float64
        )
        with np.errstate(over="ignore"):
            table = values.reshape(len(rows), len(MODULE_STATISTICS)).astype(np.float32)
        dtypes = tuple(row.dtype for row in rows.values())
        return ModuleTable(step=step, modules=tuple(rows), dtypes=dtypes, values=table)


@cache
def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _headroom(absmax: float, dtype: torch.dtype) -> float:
    """Bits between a value and the dtype's maximum; inf for zero, negative for inf."""
    if absmax == 0:
        return math.inf
    return math.log2(torch.finfo(dtype).max / absmax) if math.isfinite(absmax) else -1.0
