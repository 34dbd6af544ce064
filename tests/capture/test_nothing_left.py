"""After a watch nothing of it is left; while it lasts, it keeps nothing of the user's alive.

What a watch puts into torch is compared by the guard in tests/conftest.py after each of these tests.
"""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import graddebug
from tests.capture.observing import mlp, train
from tests.leftovers import leftovers, surroundings


def test_an_open_watch_is_seen_by_the_guard() -> None:
    """The guard can fail: while a watch is open, torch is not as it was."""
    before = surroundings()
    with graddebug.watch(mlp(4, 2)):
        during = leftovers(before, surroundings())
    assert len(during) >= 5
    assert leftovers(before, surroundings()) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_nothing_is_left_after_an_exception(error: type[BaseException], tmp_path: Path) -> None:
    """The exception is the user's own, torch is as it was."""
    before = surroundings()
    model = mlp(4, 2)

    def block() -> None:
        with graddebug.watch(model, out=tmp_path / "run"):
            train(model, torch.optim.SGD(model.parameters(), lr=0.1))
            raise error

    with pytest.raises(error):
        block()
    assert leftovers(before, surroundings()) == []


def test_nothing_is_left_after_a_finding_stopped_the_program() -> None:
    """Also inside optimizer.step(), from where it is raised."""
    before = surroundings()
    model = mlp(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def block() -> None:
        with graddebug.watch(model, optimizer, on_finding="raise"):
            for _ in range(2):
                model(torch.ones(1, 4)).sum().backward()
                optimizer.step()

    with pytest.raises(graddebug.FindingRaised):
        block()
    assert leftovers(before, surroundings()) == []


def test_no_hook_is_left_on_the_users_objects() -> None:
    """Neither on modules nor on parameters nor on the optimizer."""
    model = mlp(4, 3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    hooks = [name for name in vars(model[0]) if "hook" in name]
    with graddebug.watch(model, optimizer):
        train(model, optimizer)
    assert [getattr(model[0], name) for name in hooks if getattr(model[0], name)] == []
    assert "forward" not in vars(model[0])
    assert "step" not in vars(optimizer)
    assert not optimizer._optimizer_step_pre_hooks
    assert all(p._backward_hooks is None for p in model.parameters())


def test_the_model_dies_with_its_last_name_while_watched() -> None:
    """A watch holds models, parameters, gradients and optimizers weakly."""
    with graddebug.watch(on_finding="silent") as run:
        model = mlp(4, 3, 2)
        optimizer = torch.optim.Adam(model.parameters())
        train(model, optimizer, steps=3)
        grad = model[0].weight.grad
        assert grad is not None
        dying: list[weakref.ref[Any]] = [weakref.ref(x) for x in (model, model[0].weight, grad, optimizer)]
        del model, optimizer, grad
        gc.collect()
        assert [ref() for ref in dying] == [None] * 4
        assert run.findings == []


def test_a_graph_dies_with_its_loss_while_watched() -> None:
    """Without the garbage collector: no cycle runs through a graph."""
    model = mlp(4, 2)
    gc.collect()
    gc.disable()
    try:
        with graddebug.watch(model):
            activation = torch.ones(3, 4)
            loss = model(activation).sum()
            dying = weakref.ref(activation)
            loss.backward()
            del loss, activation
            assert dying() is None
    finally:
        gc.enable()


def test_gradients_are_not_copied() -> None:
    """AccumulateGrad takes a gradient over only while nobody else holds it: we do not."""
    weight = nn.Parameter(torch.ones(3))
    arrived: list[int] = []
    weight.register_hook(lambda grad: arrived.append(grad.data_ptr()))
    with graddebug.watch(nn.ParameterList([weight])):
        (weight * 2).sum().backward()
    assert weight.grad is not None
    assert arrived == [weight.grad.data_ptr()]


def test_no_thread_is_left(tmp_path: Path) -> None:
    """The writer's thread ends with the watch."""
    before = set(threading.enumerate())
    model = mlp(4, 2)
    with graddebug.watch(model, out=tmp_path / "run"):
        train(model, torch.optim.SGD(model.parameters(), lr=0.1), steps=5)
    assert set(threading.enumerate()) == before


def test_a_watched_model_can_be_copied_and_pickled() -> None:
    """For EMA copies and torch.save: nothing of ours hangs on it."""
    model = mlp(4, 2)
    with graddebug.watch(model):
        train(model, torch.optim.SGD(model.parameters(), lr=0.1))
        copied = copy.deepcopy(model)
        loaded = pickle.loads(pickle.dumps(model))
    x = torch.randn(3, 4)
    assert torch.equal(model(x), copied(x))
    assert torch.equal(model(x), loaded(x))


def test_memory_is_flat_over_steps() -> None:
    """A long run makes no more objects than a short one."""
    model = mlp(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def objects_after(steps: int) -> int:
        train(model, optimizer, steps=steps)
        gc.collect()
        return len(gc.get_objects())

    with graddebug.watch(model, optimizer):
        objects_after(50)
        first = objects_after(50)
        assert objects_after(400) - first < 200
