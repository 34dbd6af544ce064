"""Backward events: what was written, reached, and from where; nested, repeated and double backwards."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from graddebug.records import Backward, Forward, GradientsCleared, OptimizerStep
from tests.capture.observing import Seen, mlp, observe


def one_backward(seen: Seen) -> Backward:
    (event,) = seen.of(Backward)
    return event


def test_a_backward_names_what_it_wrote_and_from_which_line() -> None:
    """Parameters, loss, root op, number of nodes, the forward it went through, the line."""
    model = mlp(4, 3)
    with observe(model) as seen:
        loss: Any = model(torch.ones(2, 4)).square().mean()
        loss.backward()  # here
    event = one_backward(seen)
    assert seen.names(event.written) == ["0.weight", "0.bias"]
    assert event.reached == event.written
    assert event.loss == loss.item()
    assert (event.root_op, event.nodes) == ("MeanBackward0", 6)
    assert event.forwards == (seen.of(Forward)[0].order,)
    assert event.site is not None
    assert event.site.source == "loss.backward()  # here"


def test_only_what_the_loss_reaches_is_written() -> None:
    """A second head that took no part has no gradient."""
    model = nn.ModuleDict({"a": nn.Linear(4, 2), "b": nn.Linear(4, 2)})
    with observe(model) as seen:
        model["a"](torch.ones(1, 4)).sum().backward()
    assert seen.names(one_backward(seen).written) == ["a.weight", "a.bias"]


def test_several_backwards_before_a_step() -> None:
    """Each is an event of its own in the same step."""
    model = mlp(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as seen:
        for _ in range(3):
            model(torch.ones(2, 4)).sum().backward()
        optimizer.step()
    assert [event.step for event in seen.of(Backward)] == [0, 0, 0]
    assert [len(event.written) for event in seen.of(Backward)] == [2, 2, 2]


def test_the_same_graph_twice() -> None:
    """retain_graph is noted; both backwards write."""
    model = mlp(4, 3)
    with observe(model) as seen:
        loss = model(torch.ones(2, 4)).sum()
        loss.backward(retain_graph=True)
        loss.backward()
    first, second = seen.of(Backward)
    assert (first.retain_graph, second.retain_graph) == (True, False)
    assert first.written == second.written == (0, 1)


def test_autograd_grad_writes_nothing() -> None:
    """It is noted as not accumulating; the backward through it (a penalty) is an ordinary one."""
    model = mlp(4, 3)
    x = torch.ones(2, 4, requires_grad=True)
    with observe(model) as seen:
        (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        slope.square().sum().backward()
    inner, outer = seen.of(Backward)
    assert (inner.accumulates, inner.create_graph, inner.written) == (False, True, ())
    assert inner.forwards == tuple(forward.order for forward in seen.of(Forward))
    assert outer.accumulates
    assert seen.names(outer.written) == ["0.weight"]


@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph")
def test_create_graph_replaces_gradients_and_still_writes() -> None:
    """Accumulating with create_graph puts a new tensor into .grad: still this backward's doing."""
    model = nn.Linear(4, 1)
    with observe(model) as seen:
        for _ in range(2):
            model(torch.ones(2, 4)).square().sum().backward(create_graph=True)
    assert [event.written for event in seen.of(Backward)] == [(0, 1), (0, 1)]
    assert seen.of(GradientsCleared) == []
    model.zero_grad()


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_is_one_backward_to_the_ledger(reentrant: bool) -> None:
    """Every parameter is written once by the outer call; a recomputation's own backward names its parent."""
    inside, outside = nn.Linear(4, 4), nn.Linear(4, 2)
    model = nn.ModuleList([inside, outside])
    with observe(model) as seen:
        x = torch.ones(3, 4, requires_grad=True)
        hidden = checkpoint(inside, x, use_reentrant=reentrant)
        outside(hidden).sum().backward()
    events = seen.of(Backward)
    outer = [event for event in events if event.parent is None]
    assert len(outer) == 1
    assert sorted(i for event in events for i in event.written) == [0, 1, 2, 3]
    assert all(event.parent == outer[0].order for event in events if event is not outer[0])


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")  # torch 2.8's own LBFGS
def test_a_closures_backwards_belong_to_its_step() -> None:
    """LBFGS calls its closure several times inside step()."""
    model = nn.Linear(4, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)
    x, y = torch.randn(6, 4), torch.randn(6, 1)

    def closure() -> Any:
        optimizer.zero_grad()
        loss: Any = (model(x) - y).square().mean()
        loss.backward()
        return loss

    with observe(model, optimizer) as seen:
        for _ in range(2):
            optimizer.step(closure)
    steps = seen.of(OptimizerStep)
    assert [step.closure for step in steps] == [True, True]
    assert {event.inside_step for event in seen.of(Backward)} == {step.order for step in steps}
    assert [record.step for record in seen.steps] == [0, 1]


def test_an_optimizer_inside_the_backward() -> None:
    """A hook that steps and clears each parameter as its gradient arrives: write, use and clear are told."""
    model = mlp(4, 3, 2)
    optimizers = {p: torch.optim.SGD([p], lr=0.1) for p in model.parameters()}

    def step_and_clear(parameter: torch.Tensor) -> None:
        optimizers[parameter].step()  # type: ignore[index]
        optimizers[parameter].zero_grad()  # type: ignore[index]

    handles = [p.register_post_accumulate_grad_hook(step_and_clear) for p in model.parameters()]
    with observe() as seen:
        model(torch.ones(2, 4)).sum().backward()
    for handle in handles:
        handle.remove()
    written = [i for event in seen.of(Backward) for i in event.written]
    assert sorted(written) == [0, 1, 2, 3]
    assert len(seen.of(OptimizerStep)) == 4
    assert sorted(i for event in seen.of(GradientsCleared) for i in event.params) == [0, 1, 2, 3]


def test_a_backward_that_raises_is_told_as_failed() -> None:
    """With what it had written by then."""
    model = nn.Linear(4, 1)
    with observe(model) as seen:
        loss = model(torch.ones(2, 4)).sum()
        loss.backward()
        with pytest.raises(RuntimeError, match="second time"):
            loss.backward()
    assert [event.failed for event in seen.of(Backward)] == [False, True]


def test_nonfinite_gradients_are_named() -> None:
    """Only those that hold NaN or inf."""
    model = nn.ModuleDict({"good": nn.Linear(2, 1), "bad": nn.Linear(2, 1)})
    with observe(model) as seen:
        bad = model["bad"](torch.ones(1, 2)).sum() * float("inf")
        (model["good"](torch.ones(1, 2)).sum() + bad).backward()
    assert seen.names(one_backward(seen).nonfinite) == ["bad.weight", "bad.bias"]


def test_a_root_without_a_graph_is_told() -> None:
    """`loss.requires_grad_()` makes a leaf: nothing is reached."""
    model = nn.Linear(4, 1)
    with observe() as seen:
        loss = model(torch.ones(2, 4)).sum().detach().requires_grad_()
        loss.backward()
    event = one_backward(seen)
    assert (event.leaf_root, event.reached, event.written) == (True, (), ())


def test_another_models_training_is_no_event() -> None:
    """A watch of one model says nothing of the others, and that its own was not trained."""
    watched, other = nn.Linear(4, 1), nn.Linear(4, 1)
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    with observe(watched) as seen:
        other(torch.ones(2, 4)).sum().backward()
        optimizer.step()
    assert {event.kind for event in seen.events} == {"not_observable", "run_end"}
