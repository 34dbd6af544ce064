"""Sees every call of torch by which the program builds its graph: the mode, and who is told.

A `TorchFunctionMode` is told of calls in the thread that opened it. It lies on torch's stack only where
something is to be noted (`LineMode.open`), because torch chooses slower, differently rounding kernels of
a few modules while any mode is there, and because each call then costs a microsecond.

While a mode is told of a call, torch has it off the stack, and afterwards puts it back whatever happened
(2.1 to 2.13).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import FrameType, MethodWrapperType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from graddebug.capture import underscored

#: Modules that ask whether a mode is there to choose their kernel in eval mode (torch 2.0 to 2.13).
CHOOSES_BY_MODE = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder)

#: What a call is told with: the function, what it was given, its result, and the sequence numbers of the
#: nodes it made (from the first to before the last).
OpCall = Callable[[Any, tuple[Any, ...], dict[str, Any] | None, Any, int, int], None]

#: Reading an attribute of a tensor (``x.shape``) is a call, too; it makes no node.
_ATTRIBUTE = MethodWrapperType

_is_compiling = torch.compiler.is_compiling
_number = underscored.sequence_number


class LineMode(TorchFunctionMode):
    """Tells ``sinks`` of calls that made nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.sinks: tuple[OpCall, ...] = ()
        self._thread = threading.get_ident()
        #: Calls of ours under way: torch has taken the mode off its stack for them and will put it back.
        self._inside = 0
        self._closed = False
        self._paused_by: object = None
        self._paused_at = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call, and tell of it: a function that dynamo traces must not be looked at."""
        if _is_compiling() or type(func) is _ATTRIBUTE:
            return func(*args, **kwargs) if kwargs else func(*args)
        begin = _number()
        self._inside += 1
        try:
            result = func(*args, **kwargs) if kwargs else func(*args)
        finally:
            self._inside -= 1
            if self._closed and not self._inside:
                self._leave_soon()
        end = _number()
        if end != begin:
            for sink in self.sinks:
                sink(func, args, kwargs, result, begin, end)
        return result

    def also_inside(self) -> AbstractContextManager[object]:
        """Stay on the stack inside a call of ours: in a backward a checkpoint runs its forward again."""
        if self._inside and not self._elsewhere() and not underscored.has_function_mode(self):
            return self
        return nullcontext()

    def open(self, sinks: tuple[OpCall, ...]) -> None:
        """From now on tell these; nobody: leave torch's stack."""
        self.sinks = sinks
        if self._elsewhere():
            return  # each thread has a stack of its own
        self._paused_by = None
        if not self._inside and bool(sinks) is not underscored.has_function_mode(self):
            if sinks:
                underscored.insert_function_mode(self)
            else:
                underscored.remove_function_mode(self)

    def close(self) -> None:
        """Tell nobody ever again.

        In another thread than ours, or inside a call that we are told of (a hook of its backward), we
        cannot leave the stack now: we do with the end of that call, or of the thread's next one.
        """
        self._closed = True
        self.open(())

    def _leave_soon(self) -> None:
        """Leave the stack as soon as torch has put us back, which it does right after this call."""
        if sys.getprofile() is not None:
            return  # the user's profiler: with a later call

        def after(_frame: FrameType, _event: str, _arg: object) -> None:
            if underscored.has_function_mode(self):
                sys.setprofile(None)
                underscored.remove_function_mode(self)

        sys.setprofile(after)

    def pause(self, module: nn.Module) -> None:
        """Step aside for a module that would choose another kernel."""
        if not _chooses(module) or self._elsewhere() or self._paused_by is not None:
            return
        if underscored.has_function_mode(self):
            underscored.remove_function_mode(self)
            self._paused_by, self._paused_at = module, _number()

    def _elsewhere(self) -> bool:
        return threading.get_ident() != self._thread

    def resume(self, module: nn.Module) -> int | None:
        """Come back after that module: the sequence number at which it began; None for another one."""
        if self._paused_by is not module or self._elsewhere():
            return None
        self._paused_by = None
        if self.sinks:
            underscored.insert_function_mode(self)
        return self._paused_at


def _chooses(module: nn.Module) -> bool:
    """Whether it is in eval mode, or asks its first layer, which is (torch 2.0 to 2.13)."""
    layers = getattr(module, "layers", None)
    return not module.training or (isinstance(layers, nn.ModuleList) and not all(x.training for x in layers))
