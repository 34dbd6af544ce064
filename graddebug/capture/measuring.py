"""Which steps have their ops, module outputs and nodes measured, and what that found.

``"always"`` measures all, ``"off"`` none. ``"auto"`` measures as long as the time that took stays
below a share of the time watched, and every step around trouble: after a NaN, an inf, or a step that a
scaler skipped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch

from graddebug.capture import underscored
from graddebug.capture.graph import Walk
from graddebug.capture.half import HALF
from graddebug.capture.nodes import NodeMeasure, Plan, plan_of
from graddebug.capture.operands import IndexOf, is_readable
from graddebug.capture.ops import Ops
from graddebug.capture.outputs import ModuleOutputs
from graddebug.capture.sites import Sites
from graddebug.capture.unused import Unused
from graddebug.records import Site

NodesMode = Literal["auto", "always", "off"]

#: Share of the time watched that measuring may take in ``"auto"`` (design, section 4: a budget, kept), and
#: seconds that it may take in any case: the first steps are measured whatever they cost.
BUDGET, ALLOWANCE = 0.05, 0.5

#: Steps that are measured after trouble, and how many such in a run: NaN in every step is soon known.
AFTER_TROUBLE, TROUBLED_AT_MOST = 3, 60

#: What a call costs because the mode is there, and a node because a hook is, in seconds (2.13, CPU).
_SECONDS_A_CALL, _SECONDS_A_HOOK = 5e-6, 1e-6

_now = time.perf_counter

#: Structures whose plan is remembered.
_PLANS = 256


class Measuring:
    """Decides step by step; owns what is measured between backwards."""

    def __init__(
        self, mode: NodesMode, sites: Sites, index_of: IndexOf, fail: Callable[[Exception], None]
    ) -> None:
        self._mode = mode
        self._index_of = index_of
        self._fail = fail
        self._began = time.perf_counter()
        self._spent = 0.0
        self._troubled = 0
        self._after = 0
        self._planned = False
        self._plans: dict[int, Plan] = {}
        self.ops = Ops(sites, index_of)
        self.outputs = ModuleOutputs()
        #: Whether the step in progress is measured.
        self.on = mode != "off"
        #: Whether the step in progress had a NaN or inf.
        self.trouble = False

    @property
    def waits(self) -> bool:
        """Whether numbers may be waited for that lie on a device: in trouble they are worth it."""
        return self._after > 0

    @property
    def wants_lines(self) -> bool:
        """Whether calls of torch should be told of: a mode would make ``torch.compile`` start again."""
        return self.on and (self._mode == "always" or not underscored.anything_compiled())

    def plan(self) -> None:
        """The optimizer has stepped, or the step is over: decide about the next forward and backward."""
        self._planned = True
        if self._mode == "auto":
            elapsed = time.perf_counter() - self._began
            self.on = self._after > 0 or self._spent <= ALLOWANCE + BUDGET * elapsed

    def step_over(self) -> tuple[Unused, ...]:
        """The step ended, and what its forward has made is history: the origins of what nobody used."""
        unused = self.ops.unused.forget_old()
        self.ops.forget_old(trouble=self.trouble)
        self._after = max(0, self._after - 1)
        self.trouble = False
        if not self._planned:  # what the next forward went by holds for its backward
            self.plan()
        self._planned = False
        return unused

    def alarm(self) -> None:
        """Something is wrong: measure the next steps."""
        self.trouble = True
        if self._troubled < TROUBLED_AT_MOST:
            self._troubled += 1
            self._after = AFTER_TROUBLE
            self.on = self._mode != "off"  # a batch that is skipped ends no step

    # --- forward ------------------------------------------------------------------------------------

    def ordinary_op_ran(
        self, function: Any, args: Any, kwargs: Any, result: Any, begin: int, end: int
    ) -> bool:
        """Take in a call if it is as most are; else False, and `op_ran` is to be told.

        This costs a fifth. It reads one tensor that is nobody else's business, and this thread's own lists.
        """
        if not self.on or underscored.is_observed():
            return not self.on
        began = _now()
        done = self.ops.ordinary_ran(function, result, begin, end)
        self._spent += _now() - began + _SECONDS_A_CALL
        return done

    def op_ran(self, *call: Any) -> None:
        """A call of torch has made nodes; as `graddebug.capture.lines.OpCall`."""
        if self.on:
            began = time.perf_counter()
            self.ops.ran(*call, wait=self.waits)
            self._spent += time.perf_counter() - began + _SECONDS_A_CALL

    def ordinary_module_ran(self, module: str, output: Any) -> bool:
        """Take in what a module returned if its last call returned that, in full precision; else False."""
        began = _now()
        if type(output) is not torch.Tensor:
            return False
        with underscored.unoverridden():
            norm = self.ops.known_norm(output)
            dtype = output.dtype
        if norm is None or dtype in HALF or not math.isfinite(norm):
            return False
        self.outputs.finite(module, dtype, norm)
        self._spent += _now() - began
        return True

    def module_ran(self, module: str, output: torch.Tensor) -> None:
        """A module returned this tensor."""
        if self.on and is_readable(output) and output.is_cpu:
            began = time.perf_counter()
            self.outputs.ran(module, output, self.ops.norm_of(output))
            self._spent += time.perf_counter() - began

    # --- backward -----------------------------------------------------------------------------------

    def graph_runs(self, nodes: Sequence[Any], roots: int, site: Site | None) -> None:
        """A backward is about to run through these nodes, from the first few of them on."""
        if not self.on:
            self.ops.terms.unseen()
            return
        began = time.perf_counter()
        self.ops.terms.backward(nodes, roots, site)
        self._spent += time.perf_counter() - began

    def backward(self, seen: Walk, key: int) -> NodeMeasure | None:
        """Hook the graph of a backward that is about to run; None if this step is not measured.

        ``key`` names the graph's structure.
        """
        if not self.on or not seen.nodes:
            return None
        plan = self._plans.get(key)
        if plan is None:
            plan = plan_of(seen)
            if len(self._plans) < _PLANS:
                self._plans[key] = plan
        return NodeMeasure(seen, plan, self._index_of, self._fail, wait=self.waits)

    def backward_over(self, measure: NodeMeasure) -> None:
        """Its numbers are told: let the graph go."""
        began = time.perf_counter()
        self._spent += measure.spent + len(measure.norms) * _SECONDS_A_HOOK
        measure.detach()
        self._spent += time.perf_counter() - began
