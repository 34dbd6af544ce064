"""Gradients on a device: no hook waits for their numbers, which are read after the backward.

There is no device here: the hooks are told that a tensor on the CPU lies elsewhere.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from graddebug.capture import nodes
from graddebug.records import NODE_STATISTICS, Nonfinite
from tests.capture.observing import Seen, mlp, observe

OUT = NODE_STATISTICS.index("norm_out")


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "on_host", lambda _: False)
    monkeypatch.setattr(nodes, "plain_norm", lambda _: -1.0)


def seen_of(model: nn.Module, factor: float) -> Seen:
    with observe(model, nodes="always") as seen:
        out: torch.Tensor = model(torch.ones(2, 3))
        ((out * factor).pow(2).sum() + 1.0 * factor).sqrt().backward()
    return seen


def test_the_node_and_its_line_are_told() -> None:
    """What a norm cannot tell, operands and counts, is left out."""
    (event,) = seen_of(mlp(3, 3), 0.0).of(Nonfinite)
    (origin,) = event.origins
    assert (origin.born, origin.op, origin.operands) == ("backward", "SqrtBackward0", ())
    assert (origin.inf, origin.numel) == (1, 0)
    assert origin.site is not None
    assert origin.site.function == "seen_of"


def test_a_bad_root_is_told() -> None:
    """The gradient that a backward began with."""
    model = mlp(3, 3)
    with observe(model, nodes="always") as seen:
        model(torch.ones(2, 3)).backward(torch.full((2, 3), float("nan")))
    (event,) = seen.of(Nonfinite)
    assert [(origin.born, origin.nan) for origin in event.origins] == [("root", 1)]


def test_norms_are_those_that_would_have_been_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of nodes is the same."""
    model = mlp(3, 4, 2)
    (late,) = seen_of(model, 1.0).node_tables
    monkeypatch.setattr(nodes, "on_host", lambda tensor: tensor.is_cpu)
    (now,) = seen_of(model, 1.0).node_tables
    np.testing.assert_allclose(late.values[:, :2], now.values[:, :2], rtol=1e-6)
    assert np.isfinite(late.values[:, OUT]).any()
