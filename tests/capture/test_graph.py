"""The backward graph: nodes, edges, ops, shapes, modules, parameters, what is saved; once per structure."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from graddebug.capture import graph as capture_graph
from graddebug.capture import underscored
from graddebug.capture.graph import SAVED_TENSORS
from graddebug.graph import BackwardGraph, GraphNode
from graddebug.records import Backward, NotObservable
from tests.capture.observing import mlp, observe, train
from tests.older_torch import needs_saved


class Net(nn.Module):
    """Two named parts and an operation of its own between them."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(4, 8, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.body(x).tanh())
        return out


@pytest.fixture
def graph() -> BackwardGraph:
    """The graph of one backward through `Net` with a batch of 5."""
    model = Net()
    with observe(model) as seen:
        model(torch.ones(5, 4)).sum().backward()
    (one,) = seen.graphs
    assert [event.graph for event in seen.of(Backward)] == [one.hash]
    return one


def op(graph: BackwardGraph, name: str, module: str = "") -> GraphNode:
    """The one node of an op in a module."""
    (node,) = [n for n in graph.nodes if n.op == name and n.module == module]
    return node


def test_nodes_and_edges_are_autograds_own() -> None:
    """The same nodes in the same order, the same edges, as a walk over next_functions gives."""
    model = Net()
    x = torch.ones(5, 4)
    with observe(model) as seen:
        loss = model(x).sum()
        expected = []
        nodes = [loss.grad_fn]
        for node in nodes:
            assert node is not None
            children = [child for child, _ in node.next_functions if child is not None]
            nodes += [child for child in children if child not in nodes]
            expected.append((node.name(), [nodes.index(child) for child in children]))
        loss.backward()
    (graph,) = seen.graphs
    told = [(node.op, [child for child, _ in node.next]) for node in graph.nodes]
    assert told == [(name.rpartition("::")[2], children) for name, children in expected]


def test_leaves_are_tied_to_parameters(graph: BackwardGraph) -> None:
    """Each AccumulateGrad knows its parameter, and nothing else does."""
    leaves = [n.parameter for n in graph.nodes if n.op == "AccumulateGrad"]
    assert sorted(i for i in leaves if i is not None) == list(range(6))
    assert all(n.parameter is None for n in graph.nodes if n.op != "AccumulateGrad")
    assert graph.parameters == tuple(range(6))


def test_nodes_lie_in_the_modules_that_made_them(graph: BackwardGraph) -> None:
    """Innermost module of each op; what the outermost forward or the loop made belongs to no part."""
    homes = {node.op: set[str]() for node in graph.nodes}
    for node in graph.nodes:
        homes[node.op].add(node.module)
    assert homes["AddmmBackward0"] == {"head", "body.0", "body.2"}
    assert homes["ReluBackward0"] == {"body.1"}
    assert homes["TanhBackward0"] == homes["SumBackward0"] == {""}


def test_shapes_and_dtypes_are_those_of_the_forward_ops(graph: BackwardGraph) -> None:
    """Of the tensors the forward op returned, which are those of the gradients that come in."""
    assert op(graph, "AddmmBackward0", "head").shapes == ((5, 2),)
    assert op(graph, "ReluBackward0", "body.1").shapes == ((5, 8),)
    assert op(graph, "SumBackward0").shapes == ((),)
    assert op(graph, "TanhBackward0").dtypes == ("float32",)


@needs_saved
def test_what_a_node_saved_is_listed_with_its_bytes(graph: BackwardGraph) -> None:
    """Tanh keeps its result, addmm the operands whose gradients it needs."""
    (result,) = op(graph, "TanhBackward0").saved
    assert (result.name, result.shape, result.dtype, result.bytes) == ("result", (5, 6), "float32", 120)
    saved = {tensor.name: tensor.bytes for tensor in op(graph, "AddmmBackward0", "head").saved}
    assert saved == {"mat1": 5 * 6 * 4, "mat2": 6 * 2 * 4}


def test_networkx_view_has_all_of_it(graph: BackwardGraph) -> None:
    """A directed acyclic graph whose sinks are the parameters."""
    view = graph.networkx()
    assert nx.is_directed_acyclic_graph(view)
    sinks = [node for node, degree in view.out_degree() if degree == 0]
    assert sorted(view.nodes[node]["parameter"] for node in sinks) == list(range(6))


def test_a_structure_is_stored_once() -> None:
    """Other batches and other steps are the same structure, another loss is not."""
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as seen:
        train(model, optimizer, steps=3)
        model(torch.ones(2, 4)).square().mean().backward()
        assert len(seen.graphs) == 1
        model(torch.ones(2, 4)).sin().mean().backward()
    assert len(seen.graphs) == 2
    assert len({graph.hash for graph in seen.graphs}) == 2


@needs_saved
def test_checkpointed_regions_are_not_unpacked() -> None:
    """Reading what is saved would recompute the region: packed tensors are only named as such."""
    model = Net()
    calls = []

    def region(x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        out: torch.Tensor = model.body(x)
        return out

    with observe(model) as seen:
        checkpoint(region, torch.ones(5, 4, requires_grad=True), use_reentrant=False).sum().backward()
    assert len(calls) == 2
    assert any(tensor.packed for node in seen.graphs[0].nodes for tensor in node.saved)


def test_ever_new_structures_are_declined_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program whose graph changes each step is told so once, and its backwards are still events."""
    monkeypatch.setattr(capture_graph, "DESCRIBE_SECONDS", 0.0)
    monkeypatch.setattr(capture_graph, "DESCRIBE_SHARE", 0.0)
    model = Net()
    with observe(model) as seen:
        for depth in range(1, 5):
            out = model(torch.ones(2, 4))
            for _ in range(depth):
                out = out.sin()
            out.sum().backward()
    graphs = [event.graph for event in seen.of(Backward)]
    assert graphs[1:] == [None, None, None]
    told = [event.what for event in seen.of(NotObservable) if event.what != SAVED_TENSORS]
    assert told[0] == "backward graph"
    assert told.count("backward graph") == 1


def test_what_this_torch_does_not_show_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saved tensors could not be read in older releases: never zero bytes without a word."""
    monkeypatch.setattr(underscored, "SAVED_READABLE", False)
    model = Net()
    with observe(model) as seen:
        model(torch.ones(2, 4)).sum().backward()
    told = [event.what for event in seen.of(NotObservable)]
    assert told.count(SAVED_TENSORS) == 1
