"""Where a bad number can have been born, from parameters alone."""

from __future__ import annotations

from graddebug.capture.frontier import frontier

Op = type("Op", (), {})
AccumulateGrad = type("AccumulateGrad", (), {})

#: The op 0 leads to 1; 1 to 2 and 3, 2 to 3; 3 to 4 and 5, where the parameters 0 and 1 are.
DIAMOND = [Op, 1, Op, 2, 3, Op, 3, Op, 4, 5, AccumulateGrad, 0, AccumulateGrad, 1]


def test_between_lies_every_node_that_all_bad_parameters_are_below() -> None:
    """Branches that meet again are both on the way: it may have been born behind them."""
    assert frontier(DIAMOND, {0, 1}, ()) == (0, 3)


def test_one_bad_parameter_leaves_its_own_leaf() -> None:
    """Nothing that also leads to a healthy one comes into question."""
    assert frontier(DIAMOND, {1}, {0}) == (5, 5)
