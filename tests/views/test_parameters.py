from pathlib import Path

import numpy as np
import pytest

from graddebug.records import STATISTICS, ParameterInfo, Severity
from graddebug.views.line import plain
from graddebug.views.parameters import FIGURES, ParameterTable, parameter_table, trend
from tests.views.recordings import PARAMETERS, recorded


def _table(**columns: list[float]) -> ParameterTable:
    count = len(next(iter(columns.values())))
    table = np.full((count, len(STATISTICS)), np.nan, dtype=np.float32)
    for name, values in columns.items():
        table[:, STATISTICS.index(name)] = values
    infos = [ParameterInfo(index=i, name=f"p{i}", shape=(i,), dtype="float32") for i in range(count)]
    return ParameterTable(infos, table)


@pytest.mark.parametrize(("descending", "order"), [(True, [2, 0, 1]), (False, [0, 2, 1])])
def test_what_was_not_measured_comes_last_in_either_direction(descending: bool, order: list[int]) -> None:
    """Sorting never puts gaps on top."""
    table = _table(grad_norm=[1.0, float("nan"), 3.0])
    assert table.rows(sort="grad_norm", descending=descending).tolist() == order


def test_a_nan_gradient_sorts_as_the_largest() -> None:
    """A norm that is NaN because the gradient is, is no gap: it is what one looks for."""
    table = _table(grad_norm=[1.0, float("nan")], grad_nonfinite=[0.0, 5.0])
    assert table.rows(sort="grad_norm").tolist() == [1, 0]
    assert table.row(1).figures[0].text == "nan"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", [0, 1, 2, 3, 4, 5, 6]),
        ("BIAS", [1, 3, 5]),
        ("encoder.*.weight", [0, 2]),
        ("head.????", [5]),
        ("aux[bold]*", [6]),
        ("nothing", []),
    ],
)
def test_names_are_matched_as_text_or_as_a_glob(pattern: str, found: list[int]) -> None:
    """Brackets are plain characters, since parameter names hold them."""
    empty = np.empty((len(PARAMETERS), len(STATISTICS)), dtype=np.float32)
    assert ParameterTable(PARAMETERS, empty).matching(pattern).tolist() == found


def test_parameters_of_a_finding_are_marked_in_its_steps(tmp_path: Path) -> None:
    """The mark is the finding's severity, and goes with the step."""
    recording = recorded(tmp_path / "run", steps=5)
    assert parameter_table(recording, 3).row(0).mark is Severity.ERROR
    assert parameter_table(recording, 0).row(0).mark is None


def test_a_recording_without_steps_has_rows_without_numbers(tmp_path: Path) -> None:
    """Parameters are known before the first step is."""
    table = parameter_table(recorded(tmp_path / "run", steps=0, found=False), None)
    assert {figure.text for figure in table.row(0).figures} == {"·"}


def test_a_trend_fits_its_width_and_marks_the_cursor(tmp_path: Path) -> None:
    """A long run is folded into as many blocks as there is room."""
    recording = recorded(tmp_path / "run", steps=50)
    course = trend(recording, 0, "grad_norm", width=10, cursor=25)
    assert len(plain(course)) <= 10
    assert [len(span.text) for span in course][1] == 1


def test_nan_in_a_course_is_marked_and_not_left_out(tmp_path: Path) -> None:
    """What was measured and is NaN is told apart from what was not measured; the axis is said."""
    run = recorded(tmp_path / "run", steps=10, bad_step=4, found=False)
    assert plain(trend(run, 0, "grad_norm", width=14))[4] == "!"
    assert "!" not in plain(trend(run, 0, "grad_zero_share", width=14))
    assert plain(trend(run, 6, "update_ratio", width=14)).count("!") == 0


def test_a_number_of_a_nan_gradient_is_written_as_nan(tmp_path: Path) -> None:
    """In the gradient's figures and nowhere else."""
    table = parameter_table(recorded(tmp_path / "run", steps=10, bad_step=4, found=False), 4)
    written = {figure.statistic: table.figure(0, figure).text for figure in FIGURES}
    assert written["grad_norm"] == written["grad_absmax"] == "nan"
    assert (written["grad_nonfinite"], written["grad_zero_share"]) == ("3", "0%")


def test_weights_that_became_nan_are_written_as_nan() -> None:
    """A weight norm that is missing although its step was measured is NaN, not unmeasured."""
    table = _table(weight_norm=[float("nan"), float("nan")], changed_share=[0.0, float("nan")])
    figure = next(figure for figure in FIGURES if figure.statistic == "weight_norm")
    assert [table.figure(index, figure).text for index in (0, 1)] == ["nan", "·"]
