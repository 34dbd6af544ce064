"""One watch's eyes: its parts put together, and the border behind which its own failures stay.

`graddebug.capture.taps` calls the methods here from inside torch. They observe and return; whatever
goes wrong in them ends the capture with one word to the observer and leaves the program alone.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import nn

from graddebug.capture import underscored
from graddebug.capture.backwards import BackwardCall, Backwards, Ticket
from graddebug.capture.clipping import Clipping
from graddebug.capture.clock import StepClock
from graddebug.capture.context import Context, Subjects
from graddebug.capture.cuts import Cuts
from graddebug.capture.double_softmax import softmaxes_twice
from graddebug.capture.forwards import Forwards
from graddebug.capture.gradients import GradientState
from graddebug.capture.graph import GraphCatalogue
from graddebug.capture.half_reductions import half_reductions
from graddebug.capture.journal import Journal, Observer
from graddebug.capture.measuring import Measuring, NodesMode
from graddebug.capture.modules import ModuleIntervals
from graddebug.capture.optimizers import Entry, Optimizers
from graddebug.capture.parameters import ParameterTable
from graddebug.capture.quiet import Quiet
from graddebug.capture.readback import Numbers, Readback
from graddebug.capture.scalers import GradScaler, ScalerEntry, Scalers, StepCall, UnscaleCall
from graddebug.capture.schedulers import Schedulers
from graddebug.capture.sites import Sites
from graddebug.capture.statistics import StepStatistics
from graddebug.capture.unseen import hidden_in, hidden_in_run
from graddebug.capture.unused import Unused
from graddebug.capture.weights import WeightState
from graddebug.errors import GraddebugError
from graddebug.graph import BackwardGraph
from graddebug.records import (
    CheckpointCut,
    DetachedTerm,
    DoubleSoftmax,
    HalfReduction,
    Nonfinite,
    NotObservable,
    RunEnd,
)

_P = ParamSpec("_P")
_R = TypeVar("_R")


def guarded(
    method: Callable[Concatenate[Capture, _P], _R],
) -> Callable[Concatenate[Capture, _P], _R | None]:
    """The border to the user's program: only what graddebug raises on purpose passes it.

    What we ask of tensors is ours alone: no mode and no tensor subclass of the user's sees it.
    """

    @functools.wraps(method)
    def call(self: Capture, /, *args: _P.args, **kwargs: _P.kwargs) -> _R | None:
        if self.off:
            return None
        try:
            with self.lock, underscored.unoverridden():
                if underscored.is_observed():
                    with underscored.unobserved():
                        return method(self, *args, **kwargs)
                return method(self, *args, **kwargs)
        except GraddebugError:
            raise
        except Exception as error:
            self._fail(error)
            return None

    return call


class Capture:
    """Watches some or all modules and optimizers of the program, and tells ``observer``.

    ``eager`` passes each event on at once, so that the observer can stop the program before harm is
    done; it then waits for devices. ``on_failure`` is told of an exception of our own.
    """

    def __init__(
        self,
        subjects: Subjects,
        observer: Observer,
        *,
        eager: bool,
        nodes: NodesMode = "auto",
        on_failure: Callable[[Exception], None],
    ) -> None:
        self.off = False
        self._nodes = nodes
        self.lock = threading.RLock()
        self.on_failure = on_failure
        self._declined: set[str] = set()
        self._observer = observer
        self._context = context = self._make_context(subjects, observer, eager=eager)
        self._clock = StepClock(context.journal, self._forget_old)
        self._optimizers = Optimizers(context, self._clock, subjects.optimizers, observer.optimizer)
        self._forwards = Forwards(context, self._optimizers)
        self._scalers = Scalers(context, self._clock, self._optimizers, subjects.scalers)
        self._schedulers = Schedulers(context, self._clock, self._optimizers)
        self._backwards = Backwards(context, self._clock, self._optimizers, self._scalers)
        self._clipping = Clipping(context, self._optimizers)
        several = len(subjects.modules) > 1
        for name, module in subjects.modules.items():
            context.table.add_root(module, name=name, prefix=name if several else "")

    def _make_context(self, subjects: Subjects, observer: Observer, *, eager: bool) -> Context:
        table, readback = ParameterTable(observer.parameter), Readback()
        state = GradientState(table, readback)
        statistics = StepStatistics(table, state, readback)
        weights = WeightState(table)
        journal = Journal(observer, readback, statistics, eager=eager)
        sites = Sites()
        return Context(
            table=table,
            state=state,
            weights=weights,
            statistics=statistics,
            readback=readback,
            journal=journal,
            sites=sites,
            intervals=ModuleIntervals(),
            graphs=GraphCatalogue(self._new_graph, self._decline),
            measuring=Measuring(self._nodes, sites, table.index, self._fail),
            quiet=Quiet(table, journal, sites),
            cuts=Cuts(table),
            named_modules=bool(subjects.modules),
            named_optimizers=bool(subjects.optimizers),
        )

    def _new_graph(self, graph: BackwardGraph, nodes: Sequence[Any]) -> None:
        """A structure not seen before: pass it on, and tell what its ops alone show."""
        self._observer.graph(graph)
        for hidden in hidden_in(graph):
            self._decline(*hidden)
        self._context.quiet.described(graph)
        reductions, twice = half_reductions(graph), softmaxes_twice(graph, nodes)
        site = self._context.sites.here() if reductions or twice else None
        for softmax in twice:
            self._context.journal.note(
                DoubleSoftmax,
                site,
                classes=softmax.classes,
                module=softmax.outer.module,
                op_site=graph.site_of(softmax.outer),
                softmax_module=softmax.inner.module,
                softmax_site=graph.site_of(softmax.inner),
                graph=graph.hash,
            )
        for one in reductions:
            self._context.journal.note(
                HalfReduction,
                site,
                op=one.node.op,
                module=one.node.module,
                op_site=graph.site_of(one.node),
                loss=one.loss,
                elements=one.elements,
                graph=graph.hash,
            )

    def _decline(self, what: str, reason: str) -> None:
        if what not in self._declined:
            self._declined.add(what)
            self._context.journal.note(NotObservable, None, what=what, reason=reason)

    def _tell_hidden(self) -> None:
        context = self._context
        for hidden in hidden_in_run(
            nodes_off=self._nodes == "off",
            inside_func=context.inside_func,
            inside_step=context.inside_step,
            wrote=bool(context.state.ever_written),
            stepped=context.windows > 0,
        ):
            self._decline(*hidden)

    def _forget_old(self) -> None:
        """A step is over."""
        self._forwards.step_over()
        self._tell_detached()
        self._context.intervals.forget_old()
        self._context.statistics.sampling.step_over()
        self._tell_unused(self._context.measuring.step_over())

    def _tell_detached(self) -> None:
        for one in self._context.measuring.ops.terms.step_over():
            self._context.journal.note(
                DetachedTerm,
                one.backward,
                added_at=one.added_at,
                computed_at=one.source,
                factor=one.factor,
                seen=one.count,
            )

    def _tell_unused(self, unused: tuple[Unused, ...]) -> None:
        """Of losses that no backward was called on, or of what an exception came of (step -1: the newest)."""
        for origin, step in unused:
            told = {"origins": (origin,), "captured": True, "torch": torch.__version__}
            made_in = None if step < 0 else step
            self._context.journal.note(Nonfinite, None, backward=-1, made_in=made_in, **told)

    def _fail(self, error: Exception) -> None:
        """End the capture because of an error of our own."""
        self.off = True
        self.dismiss()
        self.on_failure(error)

    def _lightly(self, quick: Callable[..., bool], *about: Any) -> bool:
        """Whether the quick way has dealt with it: the same border, without what it costs to guard torch."""
        try:
            return self.off or quick(*about)
        except Exception as error:
            self._fail(error)
            return True

    @property
    def wants_lines(self) -> bool:
        """Whether `op_ran` has anything to do in the step in progress."""
        return not self.off and self._context.measuring.wants_lines

    # --- told by the taps -------------------------------------------------------------------------

    def module_enter(self, module: nn.Module) -> None:
        """A module's forward begins."""
        if not self._lightly(self._forwards.enter_inner, module):
            self._module_enter(module)

    @guarded
    def _module_enter(self, module: nn.Module) -> None:
        self._forwards.enter(module)

    def module_leave(self, module: nn.Module, output: object) -> None:
        """A module's forward ended."""
        if not self._lightly(self._forwards.leave_inner, module, output):
            self._module_leave(module, output)

    @guarded
    def _module_leave(self, module: nn.Module, output: object) -> None:
        self._forwards.leave(module, output)

    def op_ran(self, *call: Any) -> None:
        """A call of torch has made autograd nodes; as `graddebug.capture.lines.OpCall`."""
        if not self._lightly(self._context.measuring.ordinary_op_ran, *call):
            self._op_ran(*call)

    @guarded
    def _op_ran(self, *call: Any) -> None:
        self._context.measuring.op_ran(*call)

    @guarded
    def paused_module_ran(self, begin: int) -> None:
        """A module ran unobserved; its nodes begin at this sequence number."""
        self._context.measuring.ops.module_ran(begin)

    @guarded
    def cut_begin(self) -> None:
        """A reentrant checkpoint begins that no gradient can come back through."""
        self._context.cuts.begin()

    @guarded
    def cut_end(self) -> None:
        """It returned or raised."""
        found = self._context.cuts.end(self._context.sites.here, self._context.windows)
        if found is not None:
            self._context.journal.note(CheckpointCut, found[0], params=found[1])

    @guarded
    def backward_begin(self, call: BackwardCall) -> Ticket | None:
        """Autograd's engine is about to run."""
        return self._backwards.begin(call)

    @guarded
    def backward_end(self, ticket: Ticket, *, failed: bool) -> None:
        """Autograd's engine returned or raised."""
        self._backwards.end(ticket, failed=failed)

    @guarded
    def backward_raised(self, ticket: Ticket, roots: tuple[Any, ...], error: Exception) -> None:
        """Autograd refused a tensor that was changed in place; ``error`` is on its way to the program."""
        self._backwards.raised(ticket, roots, error)

    @guarded
    def optimizer_created(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer got a parameter group."""
        self._optimizers.created(optimizer)

    @guarded
    def before_clear(self, optimizer: torch.optim.Optimizer) -> Entry | None:
        """``optimizer.zero_grad()`` begins."""
        return self._optimizers.before_clear(optimizer)

    @guarded
    def after_clear(self, entry: Entry, optimizer: torch.optim.Optimizer) -> None:
        """``optimizer.zero_grad()`` returned."""
        self._optimizers.after_clear(entry, optimizer)

    @guarded
    def before_module_clear(self, module: nn.Module) -> list[int]:
        """``module.zero_grad()`` begins."""
        return self._optimizers.before_module_clear(module)

    @guarded
    def after_module_clear(self, module: nn.Module, members: list[int]) -> None:
        """``module.zero_grad()`` returned."""
        self._optimizers.after_module_clear(module, members)

    @guarded
    def before_step(self, optimizer: torch.optim.Optimizer, closure: object, frame: Any) -> None:
        """``optimizer.step()`` begins."""
        self._optimizers.before_step(optimizer, closure, frame)

    @guarded
    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """``optimizer.step()`` returned."""
        self._optimizers.after_step(optimizer)
        if not self._context.steps:
            self._context.measuring.ops.unused.stepped()
            self._context.measuring.plan()  # whether lines of the next forward are noted is decided here

    @guarded
    def before_clip(self) -> None:
        """A clipping function begins."""
        self._clipping.before()

    @guarded
    def after_clip(
        self,
        function: str,
        parameters: list[torch.Tensor],
        max_norm: float | None = None,
        total_norm: torch.Tensor | None = None,
        clip_value: float | None = None,
    ) -> None:
        """A clipping function returned."""
        self._clipping.after(function, parameters, max_norm, total_norm, clip_value)

    @guarded
    def scaled(self, scaler: GradScaler, outputs: object) -> None:
        """``scaler.scale()`` returned ``outputs``."""
        self._scalers.scaled(scaler, outputs)

    @guarded
    def before_unscale(self, scaler: GradScaler, optimizer: torch.optim.Optimizer) -> UnscaleCall | None:
        """``scaler.unscale_()`` begins."""
        return self._scalers.before_unscale(scaler, optimizer)

    @guarded
    def after_unscale(self, call: UnscaleCall, scaler: GradScaler, optimizer: torch.optim.Optimizer) -> None:
        """``scaler.unscale_()`` returned."""
        self._scalers.after_unscale(call, scaler, optimizer)

    @guarded
    def before_scaler_step(self, scaler: GradScaler, optimizer: torch.optim.Optimizer) -> StepCall | None:
        """``scaler.step()`` begins."""
        return self._scalers.before_step(scaler, optimizer)

    @guarded
    def after_scaler_step(self, call: StepCall, scaler: GradScaler, optimizer: torch.optim.Optimizer) -> None:
        """``scaler.step()`` returned."""
        self._scalers.after_step(call, scaler, optimizer)

    @guarded
    def scaler_step_failed(self, call: StepCall) -> None:
        """``scaler.step()`` raised."""
        self._scalers.step_failed(call)

    @guarded
    def before_update(self, scaler: GradScaler) -> tuple[ScalerEntry, Numbers] | None:
        """``scaler.update()`` begins."""
        return self._scalers.before_update(scaler)

    @guarded
    def after_update(self, entry: ScalerEntry, before: Numbers, scaler: GradScaler, *, given: bool) -> None:
        """``scaler.update()`` returned."""
        self._scalers.after_update(entry, before, scaler, given=given)

    @guarded
    def scaler_raised(
        self, call: str, scaler: GradScaler, optimizer: torch.optim.Optimizer | None, error: Exception
    ) -> None:
        """A method of a scaler raised ``error``, which is on its way to the program."""
        self._scalers.raised(call, scaler, optimizer, error)

    @guarded
    def before_schedule(self) -> None:
        """``scheduler.step()`` begins."""
        self._schedulers.before()

    @guarded
    def after_schedule(self, scheduler: torch.optim.lr_scheduler.LRScheduler, *, failed: bool) -> None:
        """``scheduler.step()`` returned or raised."""
        self._schedulers.after(scheduler, failed=failed)

    @guarded
    def before_swap(self, tensor: torch.Tensor) -> list[int]:
        """``torch.utils.swap_tensors`` begins; the parameters whose gradient ``tensor`` is."""
        self._context.table.let_go(tensor)
        return self._context.state.let_go(tensor)

    @guarded
    def after_swap(self, tensor: torch.Tensor, members: list[int]) -> None:
        """``torch.utils.swap_tensors`` returned: the same object, whatever it holds now."""
        self._context.table.take_back(tensor)
        self._context.state.take_back(tensor, members)

    # --- told by the session ------------------------------------------------------------------------

    @guarded
    def begin_marked_step(self) -> None:
        """The user marks the beginning of a step: what came before belongs to no step of theirs."""
        if not self._clock.marked:
            self._clock.marked = True
            if self._context.journal.happened:
                self._end_step()

    @guarded
    def end_marked_step(self) -> None:
        """The user marks the end of a step."""
        self._end_step()

    def _end_step(self) -> None:
        self._context.drain()
        self._clock.end()

    @guarded
    def finish(self, reason: str, detail: str) -> None:
        """The watch is left: settle everything and say how the run ended."""
        context = self._context
        context.drain()
        self.dismiss()
        if not context.backwards:
            context.weights_outside()
            context.outside(None)
        context.quiet.finish()
        unused = context.measuring.ops.unused
        newest = unused.newest
        if context.journal.happened:
            self._clock.end()
        if reason != "exception":
            self._tell_unused(unused.left())
        elif newest is not None:  # what was computed last may be why it raised
            self._tell_unused(((newest, -1),))
        self._tell_hidden()
        context.journal.note(RunEnd, None, reason=reason, detail=detail)
        context.journal.flush()

    @property
    def places(self) -> set[tuple[str, int]]:
        """File and line of everything of the program's that was seen."""
        return self._context.sites.places()

    def release(self) -> None:
        """Hold nothing of the user's from now on, not even weakly: we are told of nothing any more.

        Torch refuses to swap a tensor that is held so, and Python 3.11 can crash if weak references to an
        object are collected as garbage while that object dies.
        """
        self.off = True
        with self.lock:
            held = (self._context.table, self._context.state, self._forwards, self._scalers, self._optimizers)
            for one in held:
                one.release()

    def dismiss(self) -> None:
        """Leave nothing of ours on graphs that are still alive."""
        self._forwards.dismiss()
        self._scalers.dismiss()
