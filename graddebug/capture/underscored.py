"""Every underscored torch API graddebug leans on, in one place, each with the release it was checked on.

All were checked on torch 2.13.0. Where one is missing, the value falls back so that capture sees
less and says so; it never guesses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any

import torch
from torch.nn.modules import module as nn_module
from torch.utils._python_dispatch import _disable_current_modes


def sequence_number() -> int:
    """The number the next autograd node made on this thread will get; numbers rise with creation."""
    return int(torch._C._autograd._get_sequence_nr())


def node_sequence_number(node: Any) -> int:
    """The sequence number of an autograd node; ``AccumulateGrad`` has the largest 64-bit number."""
    return int(node._sequence_nr())


def inside_backward() -> bool:
    """Whether this thread is running a node of a backward right now (a checkpoint, a gradient hook)."""
    return bool(torch._C._current_graph_task_id() != -1)


def inside_functorch() -> bool:
    """Whether a ``torch.func`` transform is active: tensors are then wrappers that must be left alone."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def inside_jit_trace() -> bool:
    """Whether ``torch.jit.trace`` records what is called."""
    return bool(torch._C._is_tracing())


def is_observed() -> bool:
    """Whether a mode of the user's (a FLOP counter, a logger) is told of every operator called."""
    return bool(torch._C._len_torch_dispatch_stack())


def unobserved() -> AbstractContextManager[object]:
    """No mode is told of the operators called inside."""
    disabled: AbstractContextManager[object] = _disable_current_modes()
    return disabled


@contextmanager
def alone() -> Iterator[None]:
    """What we ask of tensors inside is ours: no mode, no subclass and no graph of the user's sees it."""
    with unoverridden(), torch.no_grad():
        if is_observed():
            with unobserved():
                yield
        else:
            yield


def unoverridden() -> AbstractContextManager[object]:
    """Neither modes nor subclasses override functions and attributes of tensors used inside."""
    disabled: AbstractContextManager[object] = torch._C.DisableTorchFunction()
    return disabled


def global_module_hooks() -> list[Any]:
    """All hooks that hold for every module."""
    tables = (
        nn_module._global_forward_pre_hooks,
        nn_module._global_forward_hooks,
        nn_module._global_backward_pre_hooks,
        nn_module._global_backward_hooks,
    )
    return [hook for table in tables for hook in table.values()]


def node_name(node: Any) -> str:
    """What a node is called, without namespaces; a custom function's own ``ctx.name`` does not shadow it."""
    return str(type(node).name(node)).rpartition("::")[2]


def gradient_metadata(node: Any) -> list[tuple[tuple[int, ...], str]]:
    """Shape and dtype of each gradient that comes into a node (the forward op's outputs)."""
    metadata = getattr(node, "_input_metadata", ())
    return [(shape_of(item), str(item.dtype).removeprefix("torch.")) for item in metadata]


def shape_of(thing: Any) -> tuple[int, ...]:
    """The shape as plain ints; what has none yet (nested, symbolic, lazy) becomes -1."""
    try:
        return tuple(int(size) for size in thing.shape)
    except (RuntimeError, TypeError, ValueError):
        return (-1,)


#: Whether what a node saved can be read as it is: since torch 2.10 or so, and not in 2.8.
SAVED_READABLE = hasattr(torch._C._autograd.SavedTensor, "data")


def raw_saved(node: Any) -> list[tuple[str, Any, bool]]:
    """What a node keeps for backward as (name, tensor or None, packed by a hook).

    Reads the packed value itself and never unpacks: unpacking would run a checkpoint's recomputation.
    """
    found = []
    for name in dir(type(node)):
        if name.startswith("_raw_saved_"):
            found += _saved_entries(name.removeprefix("_raw_saved_"), _read(node, name))
    return found


def _read(node: Any, name: str) -> Any:
    try:
        return getattr(node, name)
    except RuntimeError:  # already freed, or the op does not expose it
        return None


def _saved_entries(name: str, saved: Any) -> list[tuple[str, Any, bool]]:
    entries = saved if isinstance(saved, tuple | list) else [saved]
    found: list[tuple[str, Any, bool]] = []
    for entry in entries:
        if entry is None:
            continue
        if getattr(entry, "unpack_hook", None) is not None:
            found.append((name, None, True))
        elif isinstance(data := getattr(entry, "data", None), torch.Tensor):
            found.append((name, data, False))
    return found


def is_refused(node: Any, name: str, text: str) -> bool:
    """Whether autograd refuses to hand out what a node keeps, and says ``text``."""
    try:
        getattr(node, f"_saved_{name}" if hasattr(type(node), f"_saved_{name}") else f"saved_{name}", None)
    except RuntimeError as error:
        return text in str(error)
    return False


def norms(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """L2 norm of each tensor as a scalar on its device, one kernel for all where there is one.

    All tensors are of one dtype. Half-precision ones, whose own norm overflows at 65,504, are summed in
    float32; torch refuses to do so for float64 ones (2.13: "without narrowing"), which stay float64.
    """
    dtype = torch.promote_types(tensors[0].dtype, torch.float32) if tensors else None
    return list(torch._foreach_norm(tensors, 2, dtype=dtype))


def flatten_together(tensors: list[torch.Tensor]) -> torch.Tensor:
    """All elements of all tensors, one after another, by one call."""
    flat: torch.Tensor = torch._C._nn.flatten_dense_tensors(tensors)
    return flat


def fused_scaler_state(optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
    """``(grad_scale, found_inf)`` that a GradScaler hands to a fused optimizer; None where absent."""
    return getattr(optimizer, "grad_scale", None), getattr(optimizer, "found_inf", None)


def scale_of(scaler: torch.amp.GradScaler) -> torch.Tensor | None:
    """The tensor that holds a scaler's scale; None before its first ``scale()`` and for a disabled one."""
    return getattr(scaler, "_scale", None)


def growth_tracker_of(scaler: torch.amp.GradScaler) -> torch.Tensor | None:
    """The tensor that counts a scaler's steps without an overflow; None before its first ``scale()``."""
    return getattr(scaler, "_growth_tracker", None)


def found_inf_of(scaler: torch.amp.GradScaler, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """What a scaler found in an optimizer's gradients since its last ``update()``: one number a device.

    A disabled scaler has no states at all; asking a ``defaultdict`` by index would make one.
    """
    state = getattr(scaler, "_per_optimizer_states", {}).get(id(optimizer)) or {}
    return list(state.get("found_inf_per_device", {}).values())


def is_initial_step(scheduler: torch.optim.lr_scheduler.LRScheduler) -> bool:
    """Whether the scheduler's constructor sets the first learning rate, by the same ``step()``."""
    return bool(getattr(scheduler, "_is_initial", False))


def accumulate_grad_type() -> type:
    """The Python type of ``AccumulateGrad`` nodes, which is published nowhere."""
    with unoverridden(), unobserved(), torch.enable_grad():
        leaf = torch.zeros((), requires_grad=True)
        return type((leaf * math.pi).grad_fn.next_functions[0][0])  # type: ignore[union-attr]


# --- the stack of function modes --------------------------------------------------------------


def _function_modes() -> list[Any]:
    return [torch._C._get_function_stack_at(i) for i in range(torch._C._len_torch_function_stack())]


def has_function_mode(mode: Any) -> bool:
    """Whether this thread's stack holds the mode (not while a mode is being told of a call)."""
    return any(one is mode for one in _function_modes())


def insert_function_mode(mode: Any) -> None:
    """Put a mode below all of the user's on this thread's stack.

    A mode that is left takes off whatever lies on top, so ours must never lie there above one of the
    user's. Only that of ``torch.set_default_device`` lies lower: it takes off what is at the bottom.
    """
    modes = _function_modes()
    default_device = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    lowest = 1 if modes and modes[0] is default_device else 0
    _restack([*modes[:lowest], mode, *modes[lowest:]])


def remove_function_mode(mode: Any) -> None:
    """Take a mode off this thread's stack, wherever in it: modes of the user's may lie on top."""
    _restack([one for one in _function_modes() if one is not mode])


def _restack(modes: list[Any]) -> None:
    while torch._C._len_torch_function_stack():
        torch._C._pop_torch_function_stack()
    for mode in modes:
        torch._C._push_on_torch_function_stack(mode)


def anything_compiled() -> bool:
    """Whether ``torch.compile`` was asked for anything in this process; True where that is not known."""
    try:
        from torch._dynamo.eval_frame import cached_backends
    except ImportError:
        return True
    return any(backend is not None for backend in cached_backends.values())


# --- numbers that a node keeps ------------------------------------------------------------------


def saved_scalars(node: Any) -> list[tuple[str, float]]:
    """The plain numbers a node keeps of its forward op: an exponent, an eps, a dimension."""
    found = []
    for name in _saved_numbers(node.__class__):
        value = _read(node, name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append((name.removeprefix("_saved_"), float(value)))
    return found


@cache
def _saved_numbers(kind: Any) -> tuple[str, ...]:
    """What a node keeps that is no tensor: reading a tensor would unpack it."""
    names = dir(kind)
    return tuple(name for name in names if name.startswith("_saved_") and f"_raw{name}" not in names)


def saved_dimension(node: Any) -> int:
    """The dimension that a node's op ran over, negative from the end (2.13 hands out -1 as 2**64 - 1)."""
    dimension = int(getattr(node, "_saved_dim", -1))
    return dimension - 2**64 if dimension >= 2**63 else dimension


def is_wrapped(tensor: torch.Tensor) -> bool:
    """Whether ``torch.func`` or a batched ``autograd.grad`` wraps the tensor: its values cannot be read."""
    functorch = torch._C._functorch
    return bool(functorch.is_functorch_wrapped_tensor(tensor) or functorch.is_legacy_batchedtensor(tensor))


def has_own_operators(tensor: torch.Tensor) -> bool:
    """Whether the user's subclass is told of every operator called on the tensor, and answers for it."""
    return type(tensor).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__
