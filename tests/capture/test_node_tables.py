"""The tables of measured nodes that capture hands on."""

from typing import Any

import numpy as np
import torch

from graddebug.records import NODE_STATISTICS
from tests.capture.observing import mlp, observe

OUT = NODE_STATISTICS.index("norm_out")


def test_nan_that_was_sent_on_is_told_from_what_was_not_measured() -> None:
    """It is inf in the table, where NaN means that nobody looked."""
    model = mlp(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as seen:
        out: Any = model(torch.randn(5, 4))
        (out.sum() + torch.sqrt((out * 0).pow(2).sum())).backward()
        optimizer.step()
    (table,) = seen.node_tables
    (graph,) = seen.graphs
    sent = {node.op: table.values[node.index, OUT] for node in graph.nodes}
    assert np.isinf(sent["PowBackward0"])
    assert sent["AddBackward0"] > 0
    assert np.isnan(sent["AccumulateGrad"])
