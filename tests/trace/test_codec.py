import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graddebug.graph import BackwardGraph, GraphNode
from graddebug.records import ParameterInfo, RunInfo, Severity
from graddebug.trace import codec
from graddebug.trace.codec import FINDING, PARAMETER, RUN, from_ranges, ranges
from graddebug.trace.format import Damaged, compact, parse
from tests.trace.small_run import BACKWARD, GRAPH, INFO, STEP, finding


def through_json(plain: object) -> Any:
    return parse(compact(plain))


def test_run_comes_back() -> None:
    """A run's record survives JSON."""
    assert RUN.decode(through_json(RUN.encode(INFO))) == INFO


def test_defaults_are_left_out() -> None:
    """Only what differs from its default is stored."""
    info = ParameterInfo(index=3, name="w", shape=(2, 0), dtype="float32")
    assert PARAMETER.encode(info) == {"index": 3, "name": "w", "shape": [2, 0], "dtype": "float32"}


def test_finding_comes_back_with_nonfinite_evidence() -> None:
    """Evidence may hold inf, words and short lists."""
    back = FINDING.decode(through_json(FINDING.encode(finding(count=4))))
    assert back == finding(count=4)
    assert back.severity is Severity.ERROR


def test_nan_in_evidence_stays_a_number() -> None:
    """NaN comes back as NaN, the word "nan" as a word."""
    plain = through_json(FINDING.encode(finding(evidence={"a": float("nan"), "b": "nan", "c": {"d": (1,)}})))
    evidence = FINDING.decode(plain).evidence
    assert math.isnan(evidence["a"])  # type: ignore[arg-type]
    assert evidence["b"] == "nan"
    assert evidence["c"] == {"d": [1]}


def test_graph_comes_back() -> None:
    """Nodes, edges and saved tensors survive JSON."""
    assert codec.decode_graph(through_json(codec.encode_graph(GRAPH))) == GRAPH


def test_edge_to_nowhere_is_damage() -> None:
    """A graph whose edge leads to no node is refused before anyone walks it."""
    graph = BackwardGraph("00", (GraphNode(index=0, op="Add", next=((7, 0),)),))
    with pytest.raises(Damaged, match="no node"):
        codec.decode_graph(codec.encode_graph(graph))


def test_lines_of_nodes_come_back() -> None:
    """A line is stored once and named by its nodes."""
    nodes = (GraphNode(index=0, op="Log", site=1), GraphNode(index=1, op="Add"))
    graph = BackwardGraph("00", nodes, sites=(BACKWARD, STEP))
    found = codec.decode_graph(through_json(codec.encode_graph(graph)))
    assert found == graph
    assert [found.site_of(node) for node in found.nodes] == [STEP, None]


@pytest.mark.parametrize("site", [-1, 1])
def test_line_that_is_not_there(site: int) -> None:
    """A node that names a line which the graph does not hold is refused."""
    graph = BackwardGraph("00", (GraphNode(index=0, op="Add", site=site),), sites=(STEP,))
    with pytest.raises(Damaged, match="names no line"):
        codec.decode_graph(codec.encode_graph(graph))


@pytest.mark.parametrize(
    "plain",
    [
        None,
        {},
        {"index": 0, "name": 5, "shape": [], "dtype": "f"},
        {"index": True, "name": "w", "shape": [], "dtype": "f"},
        {"index": 0, "name": "w", "shape": [1.5], "dtype": "f"},
        {"index": 0, "name": "w", "shape": 4, "dtype": "f"},
        {"index": 0, "name": "w", "shape": [], "dtype": "f", "surprise": 1},
    ],
)
def test_what_is_no_parameter_is_damage(plain: object) -> None:
    """Missing, unknown and mistyped fields are all one error."""
    with pytest.raises(Damaged):
        PARAMETER.decode(plain)


def test_unknown_field_names_itself() -> None:
    """The message says which field is unknown."""
    with pytest.raises(Damaged, match="surprise"):
        RUN.decode({**RUN.encode(RunInfo(created="", graddebug="", torch="", python="")), "surprise": 1})


@given(st.sets(st.integers(0, 300)))
def test_sets_come_back_from_ranges(indices: set[int]) -> None:
    """Any set of parameters survives being stored as ranges."""
    assert from_ranges(ranges(tuple(sorted(indices))), parameters=301) == tuple(sorted(indices))


@pytest.mark.parametrize(
    "stored", [[[0, 10**9]], [[5, 3]], [[-1, 2]], [[0]], [["a", "b"]], [[0, 60_000]] * 9]
)
def test_absurd_ranges_are_refused(stored: object) -> None:
    """A few bytes cannot ask for a billion indices."""
    with pytest.raises(Damaged):
        from_ranges(stored, parameters=2)
