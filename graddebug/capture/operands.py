"""What went into an op: ranges, zeros, NaN and inf of tensors, read only where something went wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from graddebug.capture import underscored
from graddebug.capture.norms import norm_of
from graddebug.capture.samples import dense
from graddebug.records import Operand

#: The index of a parameter, None for any other tensor.
IndexOf = Callable[[torch.Tensor], int | None]

#: Elements of a tensor that are looked at: beyond them counts are those of the beginning.
LOOKED_AT = 1 << 24

#: Items of a list argument (``torch.cat``) that are looked at.
ITEMS = 8


@dataclass(frozen=True, slots=True)
class Elements:
    """Counts over a tensor's elements, and the range of the finite ones (NaN if there are none)."""

    numel: int
    nan: int
    inf: int
    negative_inf: int
    zeros: int
    minimum: float
    maximum: float

    @property
    def finite(self) -> bool:
        """Whether there is neither NaN nor inf."""
        return not self.nan and not self.inf


def elements_of(tensor: torch.Tensor) -> Elements:
    """Look at every element; waits for a device."""
    with torch.no_grad():
        flat = dense(tensor).reshape(-1)[:LOOKED_AT]
        nan, inf = int(flat.isnan().sum()), int(flat.isinf().sum())
        negative = int((flat == -math.inf).sum()) if inf else 0
        finite = flat[flat.isfinite()] if nan or inf else flat
        low, high = math.nan, math.nan
        if finite.numel():
            low, high = (float(end) for end in torch.aminmax(finite))
        return Elements(flat.numel(), nan, inf, negative, int((flat == 0).sum()), low, high)


def is_readable(thing: object) -> bool:
    """Whether it is a tensor of floating-point numbers whose values can be looked at.

    Of tensors that answer for their operators themselves only sharded ones: we read their local part.
    None while ``torch.jit.trace`` records what is called: it would record our reading, too.
    """
    return (
        isinstance(thing, torch.Tensor)
        and (thing.is_floating_point() or thing.is_complex())
        and not thing.is_meta
        and not underscored.inside_jit_trace()
        and not underscored.is_wrapped(thing)
        and (not underscored.has_own_operators(thing) or hasattr(thing, "_local_tensor"))
    )


def on_host(tensor: torch.Tensor) -> bool:
    """Whether its values can be read without waiting for a device."""
    return tensor.is_cpu


def is_finite(tensor: torch.Tensor) -> bool:
    """Whether a tensor on the CPU holds neither NaN nor inf: by its norm, by its elements if that is not."""
    return math.isfinite(norm_of(tensor)) or elements_of(tensor).finite


def operand(name: str, tensor: torch.Tensor, index_of: IndexOf) -> Operand:
    """A tensor as plain numbers; of one whose values cannot be read, shape and dtype."""
    shape, dtype = underscored.shape_of(tensor), dtype_name(tensor)
    if not is_readable(tensor):
        return Operand(name=name, shape=shape, dtype=dtype)
    found = elements_of(tensor)
    return Operand(
        name=name,
        shape=shape,
        dtype=dtype,
        minimum=found.minimum,
        maximum=found.maximum,
        zeros=found.zeros,
        nan=found.nan,
        inf=found.inf,
        negative_inf=found.negative_inf,
        numel=found.numel,
        parameter=index_of(tensor) if isinstance(tensor, torch.nn.Parameter) else None,
    )


def number(name: str, value: float) -> Operand:
    """A plain number that an op was given."""
    return Operand(name=name, minimum=value, maximum=value, numel=1, zeros=int(value == 0), scalar=True)


def dtype_name(tensor: torch.Tensor) -> str:
    """``float16``."""
    return str(tensor.dtype).removeprefix("torch.")


def saved_operands(node: Any, index_of: IndexOf) -> tuple[Operand, ...]:
    """What an autograd node keeps of its forward op. Never unpacks: that could run a checkpoint again."""
    tensors = [
        operand(name, tensor, index_of)
        for name, tensor, _ in underscored.raw_saved(node)
        if tensor is not None
    ]
    return (*tensors, *(number(name, value) for name, value in underscored.saved_scalars(node)))


def given_operands(given: list[tuple[str, Any]], index_of: IndexOf) -> tuple[Operand, ...]:
    """What a call was given, as plain numbers."""
    return tuple(
        operand(name, value, index_of) if isinstance(value, torch.Tensor) else number(name, float(value))
        for name, value in given
    )


def given(args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Iterator[tuple[str, Any]]:
    """The tensors and numbers a call was given; the first two are ``self`` and ``other`` as in autograd."""
    names = ("self", "other", *(f"argument {place + 1}" for place in range(2, len(args))))
    for name, value in (*zip(names, args, strict=False), *(kwargs or {}).items()):
        several = isinstance(value, tuple | list)
        for place, item in enumerate(value[:ITEMS] if several else (value,)):
            if isinstance(item, torch.Tensor) or type(item) in (int, float):
                yield f"{name}[{place}]" if several else name, item
