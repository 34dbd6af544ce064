"""The one place where torch is hooked: set up when the first watch opens, undone when the last closes.

What torch offers a public hook for is hooked; the rest is wrapped. Every wrapper calls what it
wraps with the same arguments and returns the same result. Each begins with the question whether
dynamo is compiling: a hook that dynamo traces can change a compiled function's result.

Backward is tapped at ``torch.autograd._engine_run_backward`` (torch 2.1 to 2.13), through which
``Tensor.backward``, ``autograd.backward`` and ``autograd.grad`` all go, also where a program holds an
earlier reference to them; likewise the inner functions of gradient clipping.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.modules import module as nn_module
from torch.nn.utils import clip_grad
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.checkpoint import CheckpointFunction

from graddebug.capture import underscored
from graddebug.capture.backwards import BackwardCall, Ticket
from graddebug.capture.capture import Capture
from graddebug.capture.hookset import HookSet
from graddebug.capture.lines import CHOOSES_BY_MODE, LineMode
from graddebug.capture.outdated import CHANGED
from graddebug.errors import FindingRaised


class _Listeners:
    """The captures that one installation of our hooks tells.

    A new one is made with each installation: a wrapper of ours that somebody's patch kept in place
    after we left tells nobody for ever, also when a later watch wraps the same function again.
    """

    __slots__ = ("captures",)

    def __init__(self) -> None:
        self.captures: tuple[Capture, ...] = ()


class _Taps:
    """Who is told, and what was put into torch."""

    def __init__(self) -> None:
        self.listeners = _Listeners()
        self.hooks = HookSet()
        self.lines = LineMode()
        self.lock = threading.Lock()

    def note_lines(self) -> None:
        """Open the mode for those who want to be told of calls, or close it."""
        self.lines.open(tuple(capture.op_ran for capture in self.listeners.captures if capture.wants_lines))

    def go_inert(self) -> None:
        """Take our hooks out of a forked child (a DataLoader worker), which shares not our record."""
        self.lock = threading.Lock()  # a thread that the child does not have may have held it
        for capture in self.listeners.captures:
            capture.off = True
        self.listeners.captures = ()
        self.lines.close()
        self.hooks.restore()


_taps = _Taps()
os.register_at_fork(after_in_child=_taps.go_inert)


def open_taps(capture: Capture) -> None:
    """Let ``capture`` see what happens in torch from now on."""
    with _taps.lock:
        if not _taps.listeners.captures:
            _taps.listeners = _Listeners()
            _taps.lines = LineMode()
            try:
                _install(_taps.listeners)
            except BaseException:
                _taps.hooks.restore()
                raise
        _taps.listeners.captures = (*_taps.listeners.captures, capture)
        _taps.note_lines()


def close_taps(capture: Capture) -> None:
    """Stop telling ``capture``; the last one out gives torch back as it was."""
    with _taps.lock:
        listeners = _taps.listeners
        listeners.captures = tuple(one for one in listeners.captures if one is not capture)
        if listeners.captures:
            _taps.note_lines()
        else:
            _taps.lines.close()
            _taps.hooks.restore()


def _install(listeners: _Listeners) -> None:
    hooks = _taps.hooks
    hooks.keep(nn_module.register_module_forward_pre_hook(_module_enter))
    hooks.keep(nn_module.register_module_forward_hook(_module_leave, always_call=True))
    hooks.keep(register_optimizer_step_pre_hook(_before_step))
    hooks.keep(register_optimizer_step_post_hook(_after_step))
    for make, owner, name, *aliases in _WRAPPED:
        hooks.replace(owner, name, functools.partial(make, listeners), *aliases)
    hooks.shadow(CheckpointFunction, "apply", functools.partial(_checkpoint, listeners))
    for make, base, method in _WRAPPED_WITH_SUBCLASSES:
        for kind in _family(base):
            hooks.replace(kind, method, functools.partial(make, listeners))


def _family(base: type[Any]) -> Iterator[type[Any]]:
    """A class and all classes below it."""
    yield base
    for kind in base.__subclasses__():
        yield from _family(kind)


# --- hooks ------------------------------------------------------------------------------------


def _module_enter(module: nn.Module, _args: Any) -> None:
    if torch.compiler.is_compiling():
        return
    for capture in _taps.listeners.captures:
        capture.module_enter(module)
    if isinstance(module, CHOOSES_BY_MODE):
        _taps.lines.pause(module)


def _module_leave(module: nn.Module, _args: Any, output: Any) -> None:
    if torch.compiler.is_compiling():
        return
    begin = _taps.lines.resume(module) if isinstance(module, CHOOSES_BY_MODE) else None
    for capture in _taps.listeners.captures:
        if begin is not None:
            capture.paused_module_ran(begin)
        capture.module_leave(module, output)


def _before_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    if torch.compiler.is_compiling():
        return
    closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
    if closure is None:
        _taps.lines.open(())  # the optimizer's own arithmetic is of no interest
    frame = sys._getframe(1)
    for capture in _taps.listeners.captures:
        capture.before_step(optimizer, closure, frame)


def _after_step(optimizer: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
    if torch.compiler.is_compiling():
        return
    for capture in _taps.listeners.captures:
        capture.after_step(optimizer)
    _taps.note_lines()


# --- wrappers ---------------------------------------------------------------------------------


def _engine(listeners: _Listeners, original: Any) -> Any:
    @functools.wraps(original)
    def _engine_run_backward(t_outputs: Any, *args: Any, **kwargs: Any) -> Any:
        captures = listeners.captures
        if not captures or torch.compiler.is_compiling():
            return original(t_outputs, *args, **kwargs)
        call = BackwardCall(
            roots=tuple(t_outputs),
            retain_graph=bool(args[1]),
            create_graph=bool(args[2]),
            accumulates=bool(kwargs.get("accumulate_grad", False)),
            gradients=tuple(args[0]),
            partial=len(args) > 3 and bool(args[3]),
        )
        with ExitStack() as ends:
            for capture in captures:
                ticket = capture.backward_begin(call)
                if ticket is not None:
                    ends.push(functools.partial(_backward_end, capture, ticket, t_outputs))
            del call
            with _taps.lines.also_inside():
                return original(t_outputs, *args, **kwargs)

    return _engine_run_backward


def _backward_end(
    capture: Capture,
    ticket: Ticket,
    roots: Any,
    _kind: object,
    error: BaseException | None,
    _trace: object,
) -> None:
    if error is None or isinstance(error, FindingRaised):
        capture.backward_end(ticket, failed=error is not None)
        _taps.note_lines()  # trouble may have begun
        return
    try:
        capture.backward_end(ticket, failed=True)
    except FindingRaised as finding:
        error.add_note(str(finding))  # the program's own error is on its way: explain it, keep it
    if isinstance(error, RuntimeError) and CHANGED in str(error):
        capture.backward_raised(ticket, tuple(roots), error)


def _checkpoint(listeners: _Listeners, original: Any) -> Any:
    @functools.wraps(original)
    def apply(*args: Any) -> Any:
        captures = listeners.captures
        if not captures or torch.compiler.is_compiling() or _can_hang_on(args):
            return original(*args)
        for capture in captures:
            capture.cut_begin()
        try:
            return original(*args)
        finally:
            for capture in captures:
                capture.cut_end()

    return apply


def _can_hang_on(inputs: tuple[Any, ...]) -> bool:
    """Whether a checkpoint over these becomes part of a graph, or is not meant to."""
    wanted = (isinstance(one, torch.Tensor) and one.requires_grad for one in inputs)
    return not torch.is_grad_enabled() or any(wanted)


def _optimizer_zero_grad(listeners: _Listeners, original: Any) -> Any:
    @functools.wraps(original)
    def zero_grad(self: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> Any:
        captures = listeners.captures
        if not captures or torch.compiler.is_compiling():
            return original(self, *args, **kwargs)
        entries = [(capture, capture.before_clear(self)) for capture in captures]
        result = original(self, *args, **kwargs)
        for capture, entry in entries:
            if entry is not None:
                capture.after_clear(entry, self)
        return result

    return zero_grad


def _module_zero_grad(listeners: _Listeners, original: Any) -> Any:
    @functools.wraps(original)
    def zero_grad(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        captures = listeners.captures
        if not captures or torch.compiler.is_compiling():
            return original(self, *args, **kwargs)
        concerned = [(capture, capture.before_module_clear(self)) for capture in captures]
        result = original(self, *args, **kwargs)
        for capture, members in concerned:
            if members:
                capture.after_module_clear(self, members)
        return result

    return zero_grad


def _add_param_group(listeners: _Listeners, original: Any) -> Any:
    @functools.wraps(original)
    def add_param_group(self: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        for capture in listeners.captures:
            capture.optimizer_created(self)
        return result

    return add_param_group


def _clip_with_norm(listeners: _Listeners, original: Any, *, called: str = "clip_grad_norm_") -> Any:
    @functools.wraps(original)
    def _clip_grads_with_norm_(
        parameters: Any, max_norm: Any, total_norm: Any, *args: Any, **kwargs: Any
    ) -> Any:
        captures = listeners.captures
        if not captures or torch.compiler.is_compiling():
            return original(parameters, max_norm, total_norm, *args, **kwargs)
        parameters = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
        for capture in captures:
            capture.before_clip()
        result = original(parameters, max_norm, total_norm, *args, **kwargs)
        limit = None if isinstance(max_norm, torch.Tensor) else float(max_norm)
        for capture in captures:
            capture.after_clip(called, parameters, limit, total_norm)
        return result

    return _clip_grads_with_norm_


def _clip_value(listeners: _Listeners, original: Any) -> Any:
    @functools.wraps(original)
    def clip_grad_value_(parameters: Any, clip_value: float, *args: Any, **kwargs: Any) -> Any:
        captures = listeners.captures
        if not captures or torch.compiler.is_compiling():
            return original(parameters, clip_value, *args, **kwargs)
        parameters = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
        for capture in captures:
            capture.before_clip()
        result = original(parameters, clip_value, *args, **kwargs)
        for capture in captures:
            capture.after_clip("clip_grad_value_", parameters, clip_value=float(clip_value))
        return result

    return clip_grad_value_


def _scale(listeners: _Listeners, original: Any) -> Any:
    @functools.wraps(original)
    def scale(self: GradScaler, *args: Any, **kwargs: Any) -> Any:
        captures = listeners.captures
        if not captures or torch.compiler.is_compiling():
            return original(self, *args, **kwargs)
        with _call_of(self, "scale") as is_outermost:
            scaled = original(self, *args, **kwargs)
            if isinstance(scaled, map):  # of an iterator: made one after another when asked for
                return map(functools.partial(_tell_scaled, listeners, self), scaled)
            return _tell_scaled(listeners, self, scaled) if is_outermost else scaled

    return scale


def _tell_scaled(listeners: _Listeners, scaler: GradScaler, scaled: Any) -> Any:
    for capture in listeners.captures:
        capture.scaled(scaler, scaled)
    return scaled


def _unscale(listeners: _Listeners, original: Any) -> Any:
    @functools.wraps(original)
    def unscale_(self: GradScaler, optimizer: torch.optim.Optimizer) -> Any:
        captures = listeners.captures
        if not captures or torch.compiler.is_compiling():
            return original(self, optimizer)
        with _call_of(self, "unscale_") as is_outermost:
            calls = [(c, c.before_unscale(self, optimizer)) for c in captures if is_outermost]
            try:
                result = original(self, optimizer)
            except Exception as error:
                _scaler_raised(captures, "unscale_", self, optimizer, error)
                raise
            for capture, call in calls:
                if call is not None:
                    capture.after_unscale(call, self, optimizer)
            return result

    return unscale_


def _scaler_step(listeners: _Listeners, original: Any) -> Any:
    @functools.wraps(original)
    def step(self: GradScaler, optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> Any:
        captures = listeners.captures
        if not captures or torch.compiler.is_compiling():
            return original(self, optimizer, *args, **kwargs)
        with _call_of(self, "step") as is_outermost:
            calls = [(c, c.before_scaler_step(self, optimizer)) for c in captures if is_outermost]
            try:
                result = original(self, optimizer, *args, **kwargs)
            except BaseException as error:
                for capture, call in calls:
                    if call is not None:
                        capture.scaler_step_failed(call)
                _scaler_raised(captures, "step", self, optimizer, error)
                raise
            for capture, call in calls:
                if call is not None:
                    capture.after_scaler_step(call, self, optimizer)
            return result

    return step


def _scaler_update(listeners: _Listeners, original: Any) -> Any:
    @functools.wraps(original)
    def update(self: GradScaler, *args: Any, **kwargs: Any) -> Any:
        captures = listeners.captures
        if not captures or torch.compiler.is_compiling():
            return original(self, *args, **kwargs)
        with _call_of(self, "update") as is_outermost:
            calls = [(c, c.before_update(self)) for c in captures if is_outermost]
            try:
                result = original(self, *args, **kwargs)
            except Exception as error:
                _scaler_raised(captures, "update", self, None, error)
                raise
            given = any(one is not None for one in (*args, *kwargs.values()))
            for capture, call in calls:
                if call is not None:
                    capture.after_update(*call, self, given=given)
            return result

    return update


def _scaler_raised(
    captures: Sequence[Capture],
    method: str,
    scaler: GradScaler,
    optimizer: torch.optim.Optimizer | None,
    error: BaseException,
) -> None:
    """Tell of an error that the scaler itself raised, once: in the outermost of its calls."""
    if len(_calls.open) == 1 and isinstance(error, Exception) and _raised_in(error, "grad_scaler.py"):
        for capture in captures:
            capture.scaler_raised(f"scaler.{method}", scaler, optimizer, error)


def _raised_in(error: Exception, file: str) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_filename.endswith(file)


class _Calls(threading.local):
    """Calls of scalers under way on this thread, by scaler and method."""

    def __init__(self) -> None:
        self.open: list[tuple[int, str]] = []


_calls = _Calls()


@contextmanager
def _call_of(scaler: GradScaler, method: str) -> Iterator[bool]:
    """Whether the call is not that of a subclass to the method that it overrides."""
    call = (id(scaler), method)
    is_outermost = call not in _calls.open
    _calls.open.append(call)
    try:
        yield is_outermost
    finally:
        _calls.open.pop()


def _schedule(listeners: _Listeners, original: Any) -> Any:
    @functools.wraps(original)
    def step(self: LRScheduler, *args: Any, **kwargs: Any) -> Any:
        captures = listeners.captures
        if not captures or torch.compiler.is_compiling():
            return original(self, *args, **kwargs)
        for capture in captures:
            capture.before_schedule()
        failed = True
        try:
            result = original(self, *args, **kwargs)
            failed = False
            return result
        finally:
            for capture in captures:
                capture.after_schedule(self, failed=failed)

    return step


def _swap_tensors(listeners: _Listeners, original: Any) -> Any:
    @functools.wraps(original)
    def swap_tensors(t1: torch.Tensor, t2: torch.Tensor) -> Any:
        told = [
            (capture, tensor, capture.before_swap(tensor) or [])
            for capture in listeners.captures
            for tensor in (t1, t2)
        ]
        try:
            return original(t1, t2)
        finally:
            for capture, tensor, members in told:
                capture.after_swap(tensor, members)

    return swap_tensors


def _has_any_global_hook(_listeners: _Listeners, original: Any) -> Any:
    @functools.wraps(original)
    def has_any_global_hook() -> bool:
        return any(hook not in (_module_enter, _module_leave) for hook in underscored.global_module_hooks())

    return has_any_global_hook


#: What is wrapped: by what, where, under which name, and where else the same function is to be found.
_WRAPPED: tuple[tuple[Any, ...], ...] = (
    (_engine, torch.autograd, "_engine_run_backward"),
    (_optimizer_zero_grad, torch.optim.Optimizer, "zero_grad"),
    (_add_param_group, torch.optim.Optimizer, "add_param_group"),
    (_module_zero_grad, nn.Module, "zero_grad"),
    (_clip_with_norm, clip_grad, "_clip_grads_with_norm_"),
    # The same function under its public name (torch 2.6 to 2.13).
    (
        functools.partial(_clip_with_norm, called="clip_grads_with_norm_"),
        torch.nn.utils,
        "clip_grads_with_norm_",
    ),
    (_clip_value, clip_grad, "clip_grad_value_", torch.nn.utils),
    # It refuses tensors that have weak references (torch 2.3 to 2.13), and ours are such.
    (_swap_tensors, torch.utils, "swap_tensors"),
    # torch.compile's wrapper of a module asks this (torch 2.7 to 2.13) to warn of hooks that fire
    # twice; ours bear that.
    (_has_any_global_hook, nn_module, "_has_any_global_hook"),
)

#: Methods that are wrapped on a class and on each class below it that has its own, some without asking the
#: one above: `ShardedGradScaler`, `ReduceLROnPlateau`.
_WRAPPED_WITH_SUBCLASSES: tuple[tuple[Any, type[Any], str], ...] = (
    (_scale, GradScaler, "scale"),
    (_unscale, GradScaler, "unscale_"),
    (_scaler_step, GradScaler, "step"),
    (_scaler_update, GradScaler, "update"),
    (_schedule, LRScheduler, "step"),
)
