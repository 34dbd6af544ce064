"""Schedulers of the learning rate."""

from __future__ import annotations

import threading

import torch
from torch.optim.lr_scheduler import LRScheduler

from graddebug.capture import underscored
from graddebug.capture.clock import StepClock
from graddebug.capture.context import Context
from graddebug.capture.optimizers import Optimizers, learning_rates
from graddebug.capture.sites import name_of_callee
from graddebug.records import SchedulerStep


class _Depth(threading.local):
    """How many schedulers' steps this thread is in: one may step others."""

    steps = 0


class Schedulers:
    """Turns steps of schedulers into events."""

    def __init__(self, context: Context, clock: StepClock, optimizers: Optimizers) -> None:
        self._context = context
        self._clock = clock
        self._optimizers = optimizers
        self._depth = _Depth()

    def before(self) -> None:
        """``scheduler.step()`` begins."""
        self._depth.steps += 1

    def after(self, scheduler: LRScheduler, *, failed: bool) -> None:
        """``scheduler.step()`` returned or raised."""
        self._depth.steps -= 1
        optimizer = getattr(scheduler, "optimizer", None)
        if self._depth.steps or failed or underscored.is_initial_step(scheduler):
            return
        entry = self._optimizers.identify(optimizer) if isinstance(optimizer, torch.optim.Optimizer) else None
        if entry is None or optimizer is None:
            return
        self._context.journal.note(
            SchedulerStep,
            self._context.sites.here(),
            optimizer=entry.index,
            scheduler=name_of_callee(scheduler) or type(scheduler).__name__,
            lr=learning_rates(optimizer),
            done=_count(getattr(scheduler, "last_epoch", None)),
            planned=_planned(scheduler),
        )
        if not self._context.steps:
            self._clock.belongs_to_last()


def _planned(scheduler: LRScheduler) -> int | None:
    """After how many moves the schedule is over: those of torch that say so, and those of transformers."""
    for name in ("total_steps", "T_max"):
        if (planned := _count(getattr(scheduler, name, None))) is not None:
            return planned
    lambdas = getattr(scheduler, "lr_lambdas", None) or (None,)
    return _count(getattr(lambdas[0], "keywords", {}).get("num_training_steps"))


def _count(value: object) -> int | None:
    return value if type(value) is int else None
