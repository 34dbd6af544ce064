"""What a test may leave changed in this process: nothing of what is listed here."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

#: Attributes that capture or a launched program may replace, as paths from torch down.
_REPLACEABLE = (
    "autograd._engine_run_backward",
    "autograd.backward",
    "autograd.grad",
    "Tensor.backward",
    "nn.Module.__call__",
    "nn.Module.zero_grad",
    "optim.Optimizer.zero_grad",
    "optim.Optimizer.add_param_group",
    "amp.GradScaler.scale",
    "amp.GradScaler.unscale_",
    "amp.GradScaler.step",
    "amp.GradScaler.update",
    "optim.lr_scheduler.LRScheduler.step",
    "optim.lr_scheduler.ReduceLROnPlateau.step",
    "optim.lr_scheduler.SequentialLR.step",
    "nn.utils.clip_grad_norm_",
    "nn.utils.clip_grad_value_",
    "nn.utils.clip_grad._clip_grads_with_norm_",
    "nn.utils.clip_grad.clip_grad_value_",
)

#: Tables of hooks that hold for every module and every optimizer of the process.
_HOOK_TABLES = (
    ("torch.nn.modules.module", "_global_forward_pre_hooks"),
    ("torch.nn.modules.module", "_global_forward_hooks"),
    ("torch.nn.modules.module", "_global_backward_pre_hooks"),
    ("torch.nn.modules.module", "_global_backward_hooks"),
    ("torch.nn.modules.module", "_global_parameter_registration_hooks"),
    ("torch.nn.modules.module", "_global_module_registration_hooks"),
    ("torch.optim.optimizer", "_global_optimizer_pre_hooks"),
    ("torch.optim.optimizer", "_global_optimizer_post_hooks"),
)

_ENDING_THREAD_SECONDS = 5.0

Surroundings = dict[str, object]


def surroundings() -> Surroundings:
    """The state of the process around a test; of torch only once torch is imported."""
    seen: Surroundings = {
        "sys.meta_path": tuple(sys.meta_path),
        "sys.excepthook": sys.excepthook,
        "working directory": os.getcwd(),
        "threads": frozenset(threading.enumerate()),
    }
    if "torch" in sys.modules:
        seen.update(_torch_state(sys.modules["torch"]))
    return seen


def leftovers(before: Surroundings, after: Surroundings) -> list[str]:
    """A line for each thing that is not as it was; what only one of the two has seen is left out."""
    return [*_changes(before, after), *_threads(before, after)]


def _changes(before: Surroundings, after: Surroundings) -> Iterator[str]:
    for name in sorted((before.keys() & after.keys()) - {"threads"}):
        if before[name] != after[name]:
            yield f"{name}: was {before[name]!r}, is {after[name]!r}"


def _threads(before: Surroundings, after: Surroundings) -> Iterator[str]:
    old, new = before["threads"], after["threads"]
    assert isinstance(old, frozenset)
    assert isinstance(new, frozenset)
    for thread in new - old:
        thread.join(timeout=_ENDING_THREAD_SECONDS)  # one that is about to end may do so
        if thread.is_alive():
            yield f"a thread: {thread.name}"


def _torch_state(torch: Any) -> Surroundings:
    return {
        **{f"torch.{path}": attrgetter(path)(torch) for path in _REPLACEABLE},
        **{f"{module}.{name}": tuple(getattr(sys.modules[module], name)) for module, name in _HOOK_TABLES},
        "grad mode": torch.is_grad_enabled(),
        "anomaly mode": torch.is_anomaly_enabled(),
        "default dtype": torch.get_default_dtype(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "torch function modes": torch._C._len_torch_function_stack(),
        "saved-tensor hooks": _saved_tensor_hooks(torch),
    }


def _saved_tensor_hooks(torch: Any) -> object:
    top = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)  # not in torch 2.6
    return top(True) if top is not None else None
