from pathlib import Path

import numpy as np

from graddebug.records import STATISTICS, Backward
from graddebug.views.graph import ROOT, GraphRow, fold_graph, graph_tree, node_words, source
from graddebug.views.health import graph_health
from graddebug.views.line import plain
from tests.views.mixed import BAD_STEP, MODULES, mixed, mixed_graph
from tests.views.recordings import PARAMETERS, graph, recorded, statistics


def _rows(*opened: str) -> dict[str, GraphRow]:
    rows = fold_graph(graph(), PARAMETERS).rows(opened=set(opened), statistics=statistics(0))
    return {row.key: row for row in rows}


def test_a_closed_graph_is_one_row_with_its_sums() -> None:
    """Node, parameter and byte counts include all below."""
    (root,) = _rows().values()
    assert (root.nodes, root.parameters, root.saved, root.is_open) == (16, 6, "24.6 kB", False)


def test_opening_goes_down_to_nodes() -> None:
    """A module opens into child modules and its own nodes, leaves into the module that owns them."""
    rows = _rows(ROOT, "head")
    assert [row.name for row in rows.values() if row.depth == 2] == [
        "AddmmBackward0",
        "AccumulateGrad → bias",
        "TBackward0",
        "AccumulateGrad → weight",
    ]


def test_a_module_has_the_norm_over_its_parameters() -> None:
    """Norms add as squares: the head's is that of its weight and bias together."""
    table = statistics(0)
    norms = table[[4, 5], STATISTICS.index("grad_norm")]
    assert _rows(ROOT)["head"].grad_norm.text == f"{float(np.sqrt((norms**2).sum())):.3g}"


def test_a_nonfinite_gradient_shows_in_every_module_around_it() -> None:
    """One can follow it from the top down to the parameter."""
    table = statistics(0)
    table[0, STATISTICS.index("grad_nonfinite")] = 3
    rows = fold_graph(graph(), PARAMETERS).rows(opened={ROOT, "encoder"}, statistics=table)
    bad = {row.key for row in rows if row.grad_norm.text == "nan or inf"}
    assert bad == {ROOT, "encoder", "encoder.0"}


def test_a_step_without_a_graph_has_no_tree(tmp_path: Path) -> None:
    """Graph-free recordings are an ordinary case."""
    assert graph_tree(recorded(tmp_path / "run", steps=2, graphs=False), 1) is None
    assert graph_tree(recorded(tmp_path / "with", steps=2), 1) is not None


def test_a_graph_reads_from_the_loss_on() -> None:
    """Modules and loose nodes stand by their lowest node index."""
    rows = fold_graph(graph(), PARAMETERS).rows(opened={ROOT, "encoder"}, statistics=statistics(0))
    names = [
        "(whole graph)",
        "NllLossBackward0",
        "LogSoftmaxBackward0",
        "head",
        "encoder",
        "3",
        "2",
        "1",
        "0",
    ]
    assert [row.name for row in rows] == names


def test_the_backward_of_the_graph_is_named(tmp_path: Path) -> None:
    """Its place, and which of the step's it is where there are several."""
    run = recorded(tmp_path / "run", steps=2)
    tree = graph_tree(run, 1)
    assert tree is not None
    assert tree.source == "the step's backward, at train.py:13"
    (event,) = (event for event in run.events(1, 1) if isinstance(event, Backward))
    assert source([event, event], graph().hash) == "backward 2 of 2 in this step, at train.py:13"


def test_neighbours_of_a_node_are_told_by_name() -> None:
    """Number, op and module of each node that its gradients go to."""
    told = graph()
    words = node_words(told.nodes[4], told, PARAMETERS)
    assert [text for label, text in words if label == "sends to"] == ["#6 AddmmBackward0 in encoder.2"]


def _mixed_rows(tmp_path: Path, step: int) -> dict[str, GraphRow]:
    run = mixed(tmp_path / "run", steps=BAD_STEP + 1)
    tree = graph_tree(run, step)
    assert tree is not None
    return {row.key: row for row in tree.rows(opened={ROOT, MODULES[2]}, statistics=run.statistics(step))}


def test_nodes_of_a_measured_backward_show_what_they_sent_on(tmp_path: Path) -> None:
    """Norm, a block by its logarithm, and the user's line."""
    rows = _mixed_rows(tmp_path, 3)
    assert [(rows[key].heat.text, rows[key].grad_norm.text) for key in ("#0", "#1", "#2")] == [
        *(("█", "1000"), ("▇", "500"), ("▅", "333"))
    ]
    assert rows["#2"].line == "train.py:11"


def test_nodes_that_sent_on_nan_are_marked(tmp_path: Path) -> None:
    """With a glyph and a word, and in every module around them."""
    rows = _mixed_rows(tmp_path, BAD_STEP)
    assert (rows["#1"].heat.text, rows["#2"].heat.text, rows[ROOT].heat.text) == ("▁", "✖", "✖")
    assert rows["#2"].grad_norm.text == rows[MODULES[2]].grad_norm.text == "nan or inf"


def test_a_module_whose_step_was_skipped_has_the_norm_of_its_nodes(tmp_path: Path) -> None:
    """No optimizer consumed its parameters' gradients, so no statistics tell of them."""
    run = mixed(tmp_path / "run", steps=BAD_STEP + 1)
    tree = graph_tree(run, BAD_STEP)
    assert tree is not None
    rows = tree.rows(opened={ROOT}, statistics=np.full_like(run.statistics(BAD_STEP), np.nan))
    assert {row.key: row.grad_norm.text for row in rows}["encoder"] == "nan or inf"


def test_the_node_where_nan_begins_says_so(tmp_path: Path) -> None:
    """A finite norm came in; the nodes after it only pass it on."""
    run = mixed(tmp_path / "run", steps=BAD_STEP + 1)
    health = graph_health(run, BAD_STEP, mixed_graph())
    assert health is not None
    told = {node: "\n".join(map(plain, health.lines(node))) for node in (2, 4)}
    assert "NaN or inf begins here" in told[2]
    assert "begins here" not in told[4]
    assert (
        plain(health.words())
        == "gradients of 16 nodes measured, 14 nodes sent on NaN or inf  (scaled by 65536)"
    )


def test_a_graph_that_was_not_measured_has_no_health(tmp_path: Path) -> None:
    """Its rows are as they were."""
    run = recorded(tmp_path / "run", steps=2)
    assert graph_health(run, 1, graph()) is None
