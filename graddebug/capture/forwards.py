"""Forward calls: who runs, in which mode, and what becomes of the graph they build."""

from __future__ import annotations

import sys
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch
from torch import nn

from graddebug.capture import underscored
from graddebug.capture.autocast import autocast_dtype
from graddebug.capture.context import Context, OpenBackward, Released
from graddebug.capture.frames import CallMark, innermost
from graddebug.capture.graph import bytes_held
from graddebug.capture.kept import KeptGraphs
from graddebug.capture.modes import Modes
from graddebug.capture.optimizers import Optimizers
from graddebug.capture.parameters import ModuleMap, parameters_of
from graddebug.capture.sites import free_name, name_of_callee
from graddebug.records import Forward, GraphsKept, ParameterSet, ParametersUsed, Site

#: How often the bytes that an evaluation's graph holds are counted for one module; then it is known.
COUNT_BYTES = 3

#: Windows in which it is told that a module ran whose parameters get no gradient; then that is known.
USES_TOLD = 32

#: Eval-mode forwards remembered for a backward that may still come through them.
EVAL_FORWARDS = 1024


_CALL = nn.Module._call_impl.__code__

_number, _thread = underscored.sequence_number, threading.get_ident


class GraphSentinel:
    """A pre-hook on a forward's output node; it notes that a backward came by, and its death is the graph's.

    Holds no tensor and no node: it must not keep the graph alive whose life it tells.
    """

    __slots__ = ("__weakref__", "_released", "_under_way", "consumed", "forward", "handles", "ran")

    def __init__(self, forward: Released, released: deque[Released], *under_way: list[OpenBackward]) -> None:
        self.forward = forward
        self._released: deque[Released] | None = released
        self._under_way = under_way
        self.handles: list[Any] = []
        self.ran = False
        #: The newest step in which a backward came by; -1 before the first.
        self.consumed = -1

    def __call__(self, _: object) -> None:
        """A backward reached the node."""
        self.ran = True
        for under_way in self._under_way:
            if under_way:
                under_way[-1].forwards.append(self.forward[1])
                self.consumed = under_way[-1].step
                return

    def __del__(self) -> None:
        if not self.ran and self._released is not None:
            self._released.append(self.forward)

    def dismiss(self) -> None:
        """Take the hooks off a graph that outlives the watch."""
        self._released = None
        for handle in self.handles:
            handle.remove()


class _Calls(threading.local):
    """Module calls under way on this thread; ``first`` is the outermost of them."""

    def __init__(self) -> None:
        self.stack: list[tuple[nn.Module, int, bool]] = []
        self.roots = 0
        self.first: CallMark | None = None

    def begin(self) -> None:
        """A module is called while none is under way."""
        frame = innermost(_CALL, sys._getframe())
        self.first = CallMark(frame) if frame is not None else None

    def have_ended(self) -> bool:
        """Whether the calls were ended by an interrupt, of which torch tells no hook."""
        return self.first is not None and not self.first.is_around(
            _next_call(innermost(_CALL, sys._getframe()))
        )

    def forget(self) -> None:
        """No call is under way."""
        self.stack.clear()
        self.roots = 0


def _next_call(frame: FrameType | None) -> FrameType | None:
    return innermost(_CALL, frame.f_back) if frame is not None else None


class Forwards:
    """Turns module calls into Forward events, module intervals and graph sentinels."""

    def __init__(self, context: Context, optimizers: Optimizers) -> None:
        self._context = context
        self._optimizers = optimizers
        self._calls = _Calls()
        self._ignored: ModuleMap[bool] = ModuleMap()
        self._used: ModuleMap[bool] = ModuleMap()
        self._told: ModuleMap[tuple[int, int]] = ModuleMap()
        self._paths: ModuleMap[str] = context.table.module_path
        self._subtrees: ModuleMap[ParameterSet] = ModuleMap()
        self._modes = Modes(context.table, context.journal)
        self._bytes: dict[str, tuple[int, int]] = {}
        self._sentinels: weakref.WeakSet[GraphSentinel] = weakref.WeakSet()
        self._kept = KeptGraphs(self._sentinels, context.measuring.ops.sites_of)

    def enter_inner(self, module: nn.Module) -> bool:
        """Note a call inside a watched module, if that is all it is.

        Most calls are: this and `leave_inner` touch nothing but this thread's own lists.
        """
        calls = self._calls
        if not calls.roots or module is calls.stack[0][0]:
            return False
        calls.stack.append((module, _number(), False))
        return True

    def leave_inner(self, module: nn.Module, output: object) -> bool:
        """Likewise when the call ends: a module that is known, runs as ever, and is quickly measured."""
        calls, context = self._calls, self._context
        if not calls.stack or module not in self._used or context.quiet.on or context.cuts.open:
            return False
        entered, begin, outermost = calls.stack[-1]
        if outermost or entered is not module:
            return False
        path, measuring = self._paths.get(module), context.measuring
        if path and measuring.on and not module._modules and not measuring.ordinary_module_ran(path, output):
            return False
        calls.stack.pop()
        if path:
            context.intervals.add(_thread(), begin, _number(), path)
        return True

    def enter(self, module: nn.Module) -> None:
        """A module's forward begins."""
        calls = self._calls
        if calls.stack and module is calls.stack[0][0] and calls.have_ended():
            calls.forget()
        if not calls.stack:
            calls.begin()
        outermost = not calls.roots and self._watched(module)
        calls.roots += outermost
        calls.stack.append((module, underscored.sequence_number() if calls.roots else 0, outermost))

    def leave(self, module: nn.Module, output: object) -> None:
        """A module's forward ended; ``output`` is None when it raised."""
        calls, measuring = self._calls, self._context.measuring
        while calls.stack:
            entered, begin, outermost = calls.stack.pop()
            if calls.roots:
                self._ran(entered, begin)
                if measuring.on and entered is module:
                    self._measure(module, output)
            calls.roots -= outermost
            if entered is module:
                if outermost:
                    self._root_ran(module, output)
                return

    def _watched(self, module: nn.Module) -> bool:
        if module in self._paths:
            return True
        if module in self._ignored:
            return False
        if not self._calls.stack and self._accepts(module):
            roots = self._context.table.roots
            name = free_name(name_of_callee(module) or type(module).__name__, {root.name for root in roots})
            self._context.table.add_root(module, name=name, prefix=self._prefix(module, name))
            return True
        self._ignored[module] = True
        return False

    def _accepts(self, module: nn.Module) -> bool:
        """Whether a module nobody named is ours: when everything is watched, or by its parameters."""
        parameters = parameters_of(module)
        if not parameters:
            return False
        if self._context.watches_everything:
            return True
        return not self._context.named_modules and self._optimizers.owns_any({id(p) for p in parameters})

    def _prefix(self, module: nn.Module, name: str) -> str:
        """Parameter names are qualified by the module's own name as soon as there is more than one module."""
        parameters = {id(parameter) for parameter in parameters_of(module)}
        alone = not self._context.table.roots and self._optimizers.owns_no_other(parameters)
        return "" if alone else name

    # --- inside ---------------------------------------------------------------------------------

    def _ran(self, module: nn.Module, begin: int) -> None:
        if self._context.cuts.open:
            self._context.cuts.ran(module)
        path = self._paths.get(module)
        if path is None:
            path = self._stray(module)
        elif path:
            self._context.intervals.add(threading.get_ident(), begin, underscored.sequence_number(), path)
        if module not in self._used and torch.is_grad_enabled():
            self._use(module)
        if self._context.quiet.on:
            self._context.quiet.ran(module)

    def _measure(self, module: nn.Module, output: object) -> None:
        """Take numbers of what the module returned, if torch computed it as one: a leaf, or the whole."""
        path = self._paths.get(module)
        if path is not None and (not path or not module._modules):
            for tensor in _tensors(output, depth=1):
                self._context.measuring.module_ran(path or self._context.table.roots[0].name, tensor)

    def _stray(self, module: nn.Module) -> str:
        """A module that ran inside a watched one without being registered in it (or was added later)."""
        if module in self._ignored:
            return ""
        if parameters_of(module, recurse=False):
            table = self._context.table
            table.rescan()
            if module not in table.module_path:
                table.strays.add(module)
        self._ignored[module] = True
        return self._paths.get(module) or ""

    def _use(self, module: nn.Module) -> None:
        """Tell that a module runs: once a window, until all it wants gradients for have had one."""
        context = self._context
        params = context.table.module_params.get(module) or ()
        told = self._told.get(module)
        if told is None or told[0] != context.windows:
            if told and not self._holds(module, params):
                context.table.rescan()
                context.report_unregistered()
                params = context.table.module_params.get(module) or ()
            count = told[1] if told else 0
            wanting = [
                i for i in params if context.table.trainable[i] and i not in context.state.ever_written
            ]
            if params and (wanting or not count):
                context.journal.note(ParametersUsed, None, params=params)
            if not wanting or count + 1 >= USES_TOLD:
                self._used[module] = True
            self._told[module] = (context.windows, count + 1)

    def _holds(self, module: nn.Module, params: ParameterSet) -> bool:
        """Whether the module's parameters are still those that it had (a forward may replace them)."""
        index = self._context.table.index
        return {index(parameter) for parameter in parameters_of(module, recurse=False)}.issuperset(params)

    # --- outermost calls --------------------------------------------------------------------------

    def _root_ran(self, module: nn.Module, output: object) -> None:
        context = self._context
        context.drain()
        site = context.sites.here()
        nodes = [] if underscored.inside_functorch() else _graph_nodes(output)
        path = context.table.module_path[module]
        name = path or context.table.roots[0].name
        if nodes:
            self._modes.look(module, name)
        order = context.journal.note(
            Forward,
            site,
            module=name,
            module_type=type(module).__name__,
            params=self._subtree(module),
            training=module.training,
            grad_enabled=torch.is_grad_enabled(),
            built_graph=bool(nodes),
            autocast=_autocast_dtype(output),
        )
        if nodes:
            self._watch_graph(nodes, site, order, name, module)

    def _subtree(self, module: nn.Module) -> ParameterSet:
        known = self._subtrees.get(module)
        if known is None:
            table = self._context.table
            indices = (table.index(parameter) for parameter in parameters_of(module))
            known = self._subtrees[module] = table.intern(i for i in indices if i is not None)
        return known

    def _remember_eval(self, order: int, module: nn.Module) -> None:
        remembered = self._context.eval_forwards
        remembered[order] = self._subtree(module)
        if len(remembered) > EVAL_FORWARDS:
            del remembered[next(iter(remembered))]

    def _watch_graph(
        self, nodes: list[Any], site: Site | None, order: int, name: str, module: nn.Module
    ) -> None:
        training = module.training
        if not training:
            self._remember_eval(order, module)
        held = None if training else self._count_bytes(name, nodes)
        context = self._context
        sentinel = GraphSentinel(
            (site, order, name, training, held),
            context.released,
            context.differentiations,
            context.backwards,
        )
        self._sentinels.add(sentinel)
        for node in nodes:
            sentinel.handles.append(node.register_prehook(sentinel))

    def _count_bytes(self, name: str, nodes: list[Any]) -> int:
        times, held = self._bytes.get(name, (0, 0))
        if times < COUNT_BYTES:
            held = bytes_held(nodes)
            self._bytes[name] = (times + 1, held)
        return held

    def step_over(self) -> None:
        """A step is over: tell of graphs that outlive theirs."""
        journal = self._context.journal
        for kept in self._kept.step_over(journal.step):
            journal.note(
                GraphsKept,
                kept.site,
                module=kept.module,
                graphs=kept.steps,
                oldest=kept.oldest,
                held=kept.held,
                name=kept.name,
                kept_at=kept.kept_at,
            )

    def dismiss(self) -> None:
        """Leave no hook on graphs that are still alive."""
        for sentinel in list(self._sentinels):
            sentinel.dismiss()

    def release(self) -> None:
        """Hold no module, not even weakly."""
        for held in (self._ignored, self._used, self._told, self._subtrees):
            held.clear()
        self._modes.release()
        self._context.quiet.release()


def _graph_nodes(output: object) -> list[Any]:
    nodes: dict[Any, None] = {}
    for tensor in _tensors(output):
        if tensor.grad_fn is not None:
            nodes[tensor.grad_fn] = None
    return list(nodes)


def _tensors(output: object, depth: int = 3) -> Iterator[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        yield output
    elif depth and isinstance(output, dict):
        for value in output.values():
            yield from _tensors(value, depth - 1)
    elif depth and isinstance(output, list | tuple):
        for value in output:
            yield from _tensors(value, depth - 1)
    elif depth:  # its type is asked: an instance of a proxy would answer to any name
        for field in getattr(type(output), "__dataclass_fields__", ()):
            yield from _tensors(getattr(output, field, None), depth - 1)


def _autocast_dtype(output: object) -> str | None:
    tensor = next(_tensors(output), None)
    return autocast_dtype(tensor.device.type if tensor is not None else "cpu")
