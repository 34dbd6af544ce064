import json
from pathlib import Path

import pytest

from graddebug.errors import UsageError
from graddebug.report.layout import text_table
from graddebug.report.show import render_show, show_json
from graddebug.trace.reader import Recording
from graddebug.views.columns import Column
from graddebug.views.line import Span
from graddebug.views.printable import cells
from tests.views.recordings import recorded, write


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return recorded(tmp_path_factory.mktemp("runs") / "run", steps=20)


def test_the_overview_names_run_findings_and_parameters(recording: Recording) -> None:
    """Without choices, the whole run."""
    text = render_show(recording, step=None, parameter=None, width=100)
    for said in ("20 steps (0 to 19), finished", "Findings: ✖ 1 error", "Parameters at step 19", "head.bias"):
        assert said in text


def test_a_step_is_told_with_its_life_and_graph(recording: Recording) -> None:
    """Events, findings of that step, parameters and modules."""
    text = render_show(recording, step=3, parameter=None, width=100)
    for said in ("step 3 of 19", "onto consumed ones", "GD101 stale-gradient", "(whole graph)", "encoder"):
        assert said in text
    assert "GD109" not in text


def test_a_glob_gives_series_and_life(recording: Recording) -> None:
    """Only what matches, with its course over the run."""
    text = render_show(recording, step=None, parameter="head.*", width=100)
    assert "2 of 7 parameters match 'head.*'" in text
    assert "Their life in step 19" in text
    assert "encoder.0" not in text


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize(("step", "parameter"), [(None, None), (3, None), (None, "*")])
def test_no_line_is_wider_than_asked(
    recording: Recording, width: int, step: int | None, parameter: str | None
) -> None:
    """It fits the terminal, or the log it goes to."""
    text = render_show(recording, step=step, parameter=parameter, width=width)
    assert max(map(cells, text.splitlines())) <= width


def test_a_narrow_place_keeps_its_line_number() -> None:
    """The text twin cuts the beginning of a column that keeps its end, like the terminal UI."""
    column = Column("where", "where", 10, keeps_end=True)
    cells_of_row = lambda _row, _widths: [(Span("a_long_name_of_a_file.py:33"),)]  # noqa: E731
    assert list(text_table([column], 1, cells_of_row, 12))[1] == "  …ile.py:33"


def test_what_was_not_observable_is_listed(tmp_path: Path) -> None:
    """With the findings, and where there are none."""
    run = recorded(tmp_path / "run", steps=3, found=False, unseen=True)
    text = render_show(run, step=None, parameter=None, width=100)
    assert "No rule objected to how gradients were written, cleared and used" in text
    assert (
        "  not observable  1 thing that no rule could judge\n    the operations of model: it is compiled"
        in text
    )


def test_the_tail_is_marked_in_json_and_named_once_in_text(tmp_path: Path) -> None:
    """Events after the last whole step stand behind it; the words come with the first."""
    folder = write(tmp_path / "run", steps=2, found=False, close=False, tail=True)
    run = Recording.open(folder)
    told = show_json(run, step=1, parameter=None)
    assert [event["event"] for event in told["life"] if event["tail"]] == ["forward", "backward"]
    text = render_show(run, step=1, parameter=None, width=120)
    assert text.count("after the last whole step") == 1


def test_a_step_that_is_not_there_is_refused(recording: Recording) -> None:
    """The message says which there are."""
    with pytest.raises(UsageError, match="step 99 is not in the recording; it holds 0 to 19"):
        render_show(recording, step=99, parameter=None, width=80)


def test_an_empty_recording_says_why_there_is_nothing(tmp_path: Path) -> None:
    """No step at all is told in words."""
    text = render_show(recorded(tmp_path / "run", steps=0, found=False), step=None, parameter=None, width=80)
    assert "No step was recorded" in text
    assert "optimizer never stepped" in text


def test_json_holds_what_the_text_says(recording: Recording) -> None:
    """The same choices give the same facts as strict JSON."""
    shown = show_json(recording, step=3, parameter="head.*")
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    assert set(shown) == {"version", "run", "findings", "step", "parameters", "life", "graph", "series"}
    assert [row["name"] for row in shown["parameters"]] == ["head.weight", "head.bias"]


def test_json_of_what_was_not_measured_is_null(recording: Recording) -> None:
    """NaN is no JSON."""
    (aux,) = show_json(recording, step=None, parameter="aux*")["parameters"]
    assert aux["statistics"]["grad_norm"] is None
