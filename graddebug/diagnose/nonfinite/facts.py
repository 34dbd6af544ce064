"""The numbers of an origin, to be asked and told: what its operands hold, what its dtype can hold."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from graddebug.diagnose.wording import times
from graddebug.records import Operand, Origin

#: The largest finite number of a dtype.
LARGEST = {
    "float16": 65504.0,
    "bfloat16": 3.3895e38,
    "float32": 3.4028e38,
    "float64": 1.7976e308,
    "complex64": 3.4028e38,
    "complex128": 1.7976e308,
}
_SILENT = frozenset(
    (
        *("alpha", "beta", "dim", "reduction", "ignore_index", "groups", "group", "keepdim", "correction"),
        *("C", "HxW", "N", "S_sym_argsize_minus_1", "self_sym_numel", "scale", "dropout_p"),
    )
)
_CPP_NODE = re.compile(r"(\w+?)Backward\d+")


def stem(op: str) -> str:
    """An autograd node's name without what autograd adds: ``Sqrt`` for ``SqrtBackward0``; else as it is."""
    match = _CPP_NODE.fullmatch(op)
    return match[1] if match else op


def number(value: float) -> str:
    """A number with at most four digits: ``65,504``, ``0.5``, ``1e-12``."""
    if math.isfinite(value) and value == int(value) and 1000 <= abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e+").replace("e+", "e")


@dataclass(frozen=True, slots=True)
class Told:
    """An operand in words, by format: ``{self:zeros}``, low, high, value, bad; without one its range."""

    operand: Operand | None

    def __format__(self, about: str) -> str:
        if self.operand is None:
            return "a tensor that holds 0" if about == "zeros" else "a tensor"
        if self.operand.numel == 1 and about in ("low", "high", "zeros", ""):
            return number(self.operand.minimum)
        return str(getattr(self, f"_{about or 'range'}")(self.operand))

    def _zeros(self, it: Operand) -> str:
        share = f"{it.zeros:,} of {times(it.numel, 'element')}"
        return (
            f"a tensor whose minimum is 0 ({share})"
            if it.minimum == 0
            else f"a tensor that holds 0 ({share})"
        )

    def _low(self, it: Operand) -> str:
        return f"a tensor whose minimum is {number(it.minimum)}"

    def _high(self, it: Operand) -> str:
        return f"numbers up to {number(largest(it))}"

    def _range(self, it: Operand) -> str:
        if math.isnan(it.minimum):
            return "a tensor without one finite number"
        if it.minimum == it.maximum:
            return f"a tensor that is {number(it.minimum)} everywhere"
        return f"numbers from {number(it.minimum)} to {number(it.maximum)}"

    def _value(self, it: Operand) -> str:
        ends = (number(it.minimum), number(it.maximum))
        return ends[0] if ends[0] == ends[1] else " to ".join(ends)

    def _bad(self, it: Operand) -> str:
        found = [f"{count:,} {word}" for count, word in ((it.nan, "NaN"), (it.inf, "inf")) if count]
        return f"{' and '.join(found) or 'no NaN or inf'} among {times(it.numel, 'element')}"


def largest(it: Operand) -> float:
    """The largest absolute value of its finite elements; NaN if there are none."""
    return max(abs(it.minimum), abs(it.maximum))


@dataclass(frozen=True, slots=True)
class Facts:
    """An origin and the torch version it happened in, for tests and for templates.

    A name may list alternatives: ``"self|result"`` is the first of them that the op had.
    """

    origin: Origin
    torch: str = ""

    def operand(self, names: str) -> Operand | None:
        """The operand of the first of these names that is there."""
        return next(iter(self.operands(names)), None)

    def operands(self, names: str) -> list[Operand]:
        """The operands of these names that are there, in the names' order."""
        known = {operand.name: operand for operand in self.origin.operands}
        return [known[name] for name in names.split("|") if name in known]

    @property
    def tensors(self) -> list[Operand]:
        """The operands that are tensors with numbers in them."""
        return [one for one in self.origin.operands if not one.scalar and one.numel]

    @property
    def telling(self) -> list[Operand]:
        """The operands whose numbers say something: tensors, and exponents and the like."""
        return [one for one in self.origin.operands if one.numel and not (one.scalar and one.name in _SILENT)]

    @property
    def half(self) -> bool:
        """Whether the bad numbers are in float16."""
        return self.origin.dtype == "float16"

    @property
    def limit(self) -> float:
        """The largest number of the dtype."""
        return LARGEST.get(self.origin.dtype, LARGEST["float32"])

    @property
    def operands_finite(self) -> bool:
        """Whether all operands are known, and finite."""
        return bool(self.tensors) and not any(one.nan or one.inf for one in self.tensors)

    def __getitem__(self, key: str) -> object:
        """What a template may name: an operand, or a number that follows from the dtype."""
        values = {
            "eps": "1e-4" if self.half else "1e-12",
            "edge": "1e-3" if self.half or self.origin.dtype == "bfloat16" else "1e-6",
            "jitter": "1e-3" if self.half else "1e-6",
            "limit": number(self.limit),
            "dtype": self.origin.dtype or "its dtype",
            "wider": "float32" if self.limit < 1e5 or self.origin.dtype == "bfloat16" else "float64",
            "bad_one": Told(next((one for one in self.tensors if one.nan or one.inf), None)),
            "inf_one": Told(next((one for one in self.tensors if one.inf), None)),
            # half of the range: most often the result is squared, in a loss or in a variance
            "exp_limit": str(int(math.log(self.limit) / 10) * 5),
            "torch": f"torch {self.torch.partition('+')[0]}" if self.torch else "this torch",
            "incoming": number(self.origin.incoming),
        }
        return values[key] if key in values else Told(self.operand(key.replace("_or_", "|")))
