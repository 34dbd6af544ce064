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
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as nn_module
from torch.nn.utils import clip_grad
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from graddebug.capture.backwards import BackwardCall
from graddebug.capture.capture import Capture
from graddebug.capture.hookset import HookSet


class _Taps:
    """Who is told, and what was put into torch."""

    def __init__(self) -> None:
        self.captures: tuple[Capture, ...] = ()
        self.hooks = HookSet()
        self.lock = threading.Lock()

    def go_inert(self) -> None:
        """Fall silent in a forked child (a DataLoader worker): it shares our hooks, not our record."""
        for capture in self.captures:
            capture.off = True
        self.captures = ()
        self.lock = threading.Lock()  # a thread that the child does not have may have held it


_taps = _Taps()
os.register_at_fork(after_in_child=_taps.go_inert)


def open_taps(capture: Capture) -> None:
    """Let ``capture`` see what happens in torch from now on."""
    with _taps.lock:
        if not _taps.captures:
            try:
                _install()
            except BaseException:
                _taps.hooks.restore()
                raise
        _taps.captures = (*_taps.captures, capture)


def close_taps(capture: Capture) -> None:
    """Stop telling ``capture``; the last one out gives torch back as it was."""
    with _taps.lock:
        _taps.captures = tuple(one for one in _taps.captures if one is not capture)
        if not _taps.captures:
            _taps.hooks.restore()


def _install() -> None:
    _taps.hooks.keep(nn_module.register_module_forward_pre_hook(_module_enter))
    _taps.hooks.keep(nn_module.register_module_forward_hook(_module_leave, always_call=True))
    _taps.hooks.keep(register_optimizer_step_pre_hook(_before_step))
    _taps.hooks.keep(register_optimizer_step_post_hook(_after_step))
    _taps.hooks.replace(torch.autograd, "_engine_run_backward", _engine)
    _taps.hooks.replace(torch.optim.Optimizer, "zero_grad", _optimizer_zero_grad)
    _taps.hooks.replace(torch.optim.Optimizer, "add_param_group", _add_param_group)
    _taps.hooks.replace(nn.Module, "zero_grad", _module_zero_grad)
    _taps.hooks.replace(clip_grad, "_clip_grads_with_norm_", _clip_with_norm)
    _taps.hooks.replace(clip_grad, "clip_grad_value_", _clip_value)
    _taps.hooks.replace(torch.nn.utils, "clip_grad_value_", _clip_value)


# --- hooks ------------------------------------------------------------------------------------


def _module_enter(module: nn.Module, _args: Any) -> None:
    if torch.compiler.is_compiling():
        return
    for capture in _taps.captures:
        capture.module_enter(module)


def _module_leave(module: nn.Module, _args: Any, output: Any) -> None:
    if torch.compiler.is_compiling():
        return
    for capture in _taps.captures:
        capture.module_leave(module, output)


def _before_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    if torch.compiler.is_compiling():
        return
    closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
    frame = sys._getframe(1)
    for capture in _taps.captures:
        capture.before_step(optimizer, closure, frame)


def _after_step(optimizer: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
    if torch.compiler.is_compiling():
        return
    for capture in _taps.captures:
        capture.after_step(optimizer)


# --- wrappers ---------------------------------------------------------------------------------


def _engine(original: Any) -> Any:
    @functools.wraps(original)
    def _engine_run_backward(t_outputs: Any, *args: Any, **kwargs: Any) -> Any:
        captures = _taps.captures
        if not captures or torch.compiler.is_compiling():
            return original(t_outputs, *args, **kwargs)
        call = BackwardCall(
            roots=tuple(t_outputs),
            retain_graph=bool(args[1]),
            create_graph=bool(args[2]),
            accumulates=bool(kwargs.get("accumulate_grad", False)),
        )
        tickets = [(capture, capture.backward_begin(call)) for capture in captures]
        del call
        done = False
        try:
            result = original(t_outputs, *args, **kwargs)
            done = True
            return result
        finally:
            for capture, ticket in tickets:
                if ticket is not None:
                    capture.backward_end(ticket, failed=not done)

    return _engine_run_backward


def _optimizer_zero_grad(original: Any) -> Any:
    @functools.wraps(original)
    def zero_grad(self: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> Any:
        captures = _taps.captures
        if not captures or torch.compiler.is_compiling():
            return original(self, *args, **kwargs)
        entries = [(capture, capture.before_clear(self)) for capture in captures]
        result = original(self, *args, **kwargs)
        for capture, entry in entries:
            if entry is not None:
                capture.after_clear(entry, self)
        return result

    return zero_grad


def _module_zero_grad(original: Any) -> Any:
    @functools.wraps(original)
    def zero_grad(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        captures = _taps.captures
        if not captures or torch.compiler.is_compiling():
            return original(self, *args, **kwargs)
        concerned = [(capture, capture.before_module_clear(self)) for capture in captures]
        result = original(self, *args, **kwargs)
        for capture, members in concerned:
            if members:
                capture.after_module_clear(self, members)
        return result

    return zero_grad


def _add_param_group(original: Any) -> Any:
    @functools.wraps(original)
    def add_param_group(self: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        for capture in _taps.captures:
            capture.optimizer_created(self)
        return result

    return add_param_group


def _clip_with_norm(original: Any) -> Any:
    @functools.wraps(original)
    def _clip_grads_with_norm_(
        parameters: Any, max_norm: Any, total_norm: Any, *args: Any, **kwargs: Any
    ) -> Any:
        captures = _taps.captures
        if not captures:
            return original(parameters, max_norm, total_norm, *args, **kwargs)
        parameters = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
        for capture in captures:
            capture.before_clip()
        result = original(parameters, max_norm, total_norm, *args, **kwargs)
        limit = None if isinstance(max_norm, torch.Tensor) else float(max_norm)
        for capture in captures:
            capture.after_clip("clip_grad_norm_", parameters, limit, total_norm)
        return result

    return _clip_grads_with_norm_


def _clip_value(original: Any) -> Any:
    @functools.wraps(original)
    def clip_grad_value_(parameters: Any, clip_value: float, *args: Any, **kwargs: Any) -> Any:
        captures = _taps.captures
        if not captures:
            return original(parameters, clip_value, *args, **kwargs)
        parameters = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
        for capture in captures:
            capture.before_clip()
        result = original(parameters, clip_value, *args, **kwargs)
        for capture in captures:
            capture.after_clip("clip_grad_value_", parameters, None, None)
        return result

    return clip_grad_value_
