"""Forward events: the outermost calls, their mode, and what becomes of the graph they built."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from graddebug.records import Backward, Forward, GraphReleased, ParametersUsed
from tests.capture.observing import mlp, observe


def test_only_the_outermost_call_is_told() -> None:
    """With its name, type, parameters and line."""
    net = mlp(4, 3, 2)
    with observe(net=net) as seen:
        net(torch.ones(1, 4))
    (event,) = seen.of(Forward)
    assert (event.module, event.module_type, event.params) == ("net", "Sequential", (0, 1, 2, 3))
    assert event.site is not None
    assert event.site.source == "net(torch.ones(1, 4))"


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_mode_and_graph(mode: type) -> None:
    """Train or eval, gradients enabled, whether a graph was built."""
    net = mlp(4, 2).eval()
    with observe(net) as seen, mode():
        net(torch.ones(1, 4))
    (event,) = seen.of(Forward)
    builds = mode is torch.enable_grad
    assert (event.training, event.grad_enabled, event.built_graph) == (False, builds, builds)


def test_autocast_is_told_by_its_dtype() -> None:
    """Of the device the output is on."""
    net = mlp(4, 2)
    with observe(net) as seen:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            net(torch.ones(1, 4))
        net(torch.ones(1, 4))
    assert [event.autocast for event in seen.of(Forward)] == ["bfloat16", None]


def test_a_graph_nobody_used_is_told_when_it_dies() -> None:
    """With the bytes it held, which only an evaluation's is counted for."""
    net = mlp(4, 8, 2).eval()
    with observe(net) as seen:
        output = net(torch.ones(16, 4))
        del output
        net(torch.ones(16, 4)).sum().backward()
    (released,) = seen.of(GraphReleased)
    assert (released.forward, released.training) == (seen.of(Forward)[0].order, False)
    assert released.saved_bytes is not None
    assert released.saved_bytes >= 16 * 8 * 4 or released.saved_bytes == 0  # 0: this torch does not show it


def test_a_graph_that_a_backward_or_grad_ran_is_not_told() -> None:
    """Neither backward nor autograd.grad leaves a graph unused."""
    net = mlp(4, 2)
    x = torch.ones(1, 4, requires_grad=True)
    with observe(net) as seen:
        net(x).sum().backward()
        torch.autograd.grad(net(x).sum(), x)
    assert seen.of(GraphReleased) == []


def test_outputs_in_dicts_tuples_and_dataclasses_are_found() -> None:
    """A model may return anything."""

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> dict[str, object]:
            return {"logits": (self.layer(x), None), "note": "text"}

    net = Wrapped()
    with observe(net) as seen:
        output = net(torch.ones(1, 4))
        output["logits"][0].sum().backward()
    assert seen.of(Forward)[0].built_graph
    assert seen.of(Backward)[0].forwards == (seen.of(Forward)[0].order,)


def test_gradients_written_through_a_module_in_eval_mode_are_marked() -> None:
    """By parameter, whatever mode the module is in when the step comes."""
    net = mlp(4, 2)
    with observe(net) as seen:
        net.eval()
        loss = net(torch.ones(1, 4)).sum()
        net.train()
        loss.backward()
        net(torch.ones(1, 4)).sum().backward()
    assert [event.written_in_eval for event in seen.of(Backward)] == [(0, 1), ()]


def test_parameters_are_used_when_their_module_first_runs_with_gradients() -> None:
    """Once for each module; a forward under no_grad is no use."""
    net = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    with observe(net) as seen:
        with torch.no_grad():
            net["b"](torch.ones(1, 2))
        for _ in range(2):
            net["a"](torch.ones(1, 2))
    assert [seen.names(event.params) for event in seen.of(ParametersUsed)] == [["a.weight", "a.bias"]]


def test_a_forward_that_raises_leaves_no_call_open() -> None:
    """The next call is an outermost one again."""
    net = mlp(4, 2)
    with observe(net) as seen:
        with pytest.raises(RuntimeError, match="mat1 and mat2"):
            net(torch.ones(1, 5))
        net(torch.ones(1, 4))
    assert seen.of(Forward)[-1].built_graph
