"""The origin of NaN or inf in a tiny program, found as capture finds it, from torch itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from graddebug.records import Operand, Origin


def is_finite(tensor: Tensor) -> bool:
    """No NaN, no inf."""
    return bool(tensor.isfinite().all())


def operand(name: str, value: Any) -> Operand:
    """A tensor or a number as plain values."""
    if not isinstance(value, Tensor):
        end = float(value)
        return Operand(name=name, minimum=end, maximum=end, numel=1, zeros=int(end == 0), scalar=True)
    shape, value = tuple(value.shape), value.detach()
    if not value.is_floating_point():
        return Operand(name=name, shape=shape, dtype=str(value.dtype))
    finite = value[value.isfinite()]
    ends = [float(end) for end in finite.aminmax()] if finite.numel() else [float("nan")] * 2
    return Operand(
        name=name,
        shape=shape,
        dtype=str(value.dtype).removeprefix("torch."),
        minimum=ends[0],
        maximum=ends[1],
        zeros=int((value == 0).sum()),
        nan=int(value.isnan().sum()),
        inf=int(value.isinf().sum()),
        numel=value.numel(),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, Tensor | int | float) and not isinstance(value, bool)


def _counts(tensor: Tensor) -> dict[str, Any]:
    return {
        "shape": tuple(tensor.shape),
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "nan": int(tensor.isnan().sum()),
        "inf": int(tensor.isinf().sum()),
        "numel": tensor.numel(),
    }


class _Forward(TorchFunctionMode):
    """Notes every call whose result is not finite."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[Origin] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        made = result if isinstance(result, tuple) else (result,)
        if func.__name__ not in ("masked_fill", "__get__"):
            self.bad += [_made(one, args, kwargs or {}) for one in made if _is_bad(one)]
        return result


def _is_bad(one: object) -> bool:
    real = isinstance(one, Tensor) and one.is_floating_point() and one.grad_fn is not None
    return real and not is_finite(one)  # type: ignore[arg-type]


def _made(result: Tensor, args: Any, kwargs: Any) -> Origin:
    names = [("self", "other")[i] if i < 2 else f"argument {i + 1}" for i in range(len(args))]
    given = [*zip(names, args, strict=True), *kwargs.items()]
    operands = tuple(operand(name, value) for name, value in given if _is_number(value))
    assert result.grad_fn is not None
    return Origin(born="forward", op=result.grad_fn.name(), operands=operands, **_counts(result))


def _nodes(root: Any) -> Iterator[Any]:
    seen, waiting = set(), [root]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions if following is not None]
            yield node


def _saved(node: Any) -> tuple[Operand, ...]:
    names = [name for name in dir(node) if name.startswith("_saved_")]
    pairs = [(name.removeprefix("_saved_"), getattr(node, name)) for name in names]
    return tuple(operand(name, value) for name, value in pairs if _is_number(value))


def _backward(result: Tensor, leaves: list[Tensor]) -> Origin:
    found: list[Origin] = []

    def watch(node: Any) -> None:
        def hook(outgoing: Any, incoming: Any) -> None:
            out = [one for one in outgoing if one is not None and not is_finite(one)]
            into = [one for one in incoming if one is not None]
            if out and not found and all(map(is_finite, into)):
                norm = float(torch.stack([one.float().norm() for one in into]).norm())
                origin = Origin(
                    born="backward", op=node.name(), operands=_saved(node), incoming=norm, **_counts(out[0])
                )
                found.append(origin)

        node.register_hook(hook)

    for node in _nodes(result.grad_fn):
        watch(node)
    torch.autograd.grad(result, leaves, torch.ones_like(result), allow_unused=True)
    (first, *_) = found
    return first


def origin_in(program: Callable[..., Tensor], leaves: list[Tensor]) -> Origin:
    """Where the program's numbers stop being finite, in forward or in backward."""
    with _Forward() as forward:
        result = program(*leaves)
    if not is_finite(result):
        with_nan = [bad for bad in forward.bad if bad.nan]
        made: list[Origin] = with_nan if bool(result.isnan().any()) else forward.bad
        return made[0]
    return _backward(result, leaves)
