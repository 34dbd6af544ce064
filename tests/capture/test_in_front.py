"""What lies between the loss and a parameter."""

from __future__ import annotations

from graddebug.capture.in_front import behind
from graddebug.graph import BackwardGraph, GraphNode

MODULES = {0: "encoder", 1: "head", 2: "auxiliary"}


def graph(*nodes: tuple[str, str, tuple[int, ...], int | None]) -> BackwardGraph:
    """Nodes as op, module, children and parameter."""
    told = [
        GraphNode(
            index=place, op=op, module=module, next=tuple((c, 0) for c in children), parameter=parameter
        )
        for place, (op, module, children, parameter) in enumerate(nodes)
    ]
    return BackwardGraph("ab", tuple(told))


def test_gradients_come_through_the_head() -> None:
    """The encoder is behind the head, and nothing is behind the auxiliary head but the encoder."""
    found = behind(
        graph(
            ("AddBackward0", "", (1, 2), None),
            ("AddmmBackward0", "head", (3, 4), None),
            ("AddmmBackward0", "auxiliary", (3, 6), None),
            ("AddmmBackward0", "encoder", (5,), None),
            ("TBackward0", "head", (7,), None),
            ("AccumulateGrad", "", (), 0),
            ("AccumulateGrad", "", (), 2),
            ("AccumulateGrad", "", (), 1),
        ),
        MODULES,
    )
    assert found == {0: 0, 1: 1 << 0, 2: 1 << 0}


def test_a_penalty_on_a_weight_is_not_in_front() -> None:
    """It is added to the loss outside of the module that owns the weight."""
    found = behind(
        graph(
            ("AddBackward0", "", (1, 2), None),
            ("MulBackward0", "encoder", (3,), None),
            ("PowBackward0", "", (4,), None),
            ("AccumulateGrad", "", (), 0),
            ("AccumulateGrad", "", (), 1),
        ),
        MODULES,
    )
    assert found == {0: 0}
