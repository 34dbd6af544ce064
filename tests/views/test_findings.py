from dataclasses import replace

from graddebug.views.finding_words import finding_lines
from graddebug.views.findings import finding_detail, finding_rows, findings_at, folded_rows, tally
from graddebug.views.line import plain
from tests.views.recordings import findings


def test_findings_are_listed_by_weight() -> None:
    """Errors come first, whatever came first in time."""
    assert [row.code for row in finding_rows(findings(9))] == ["GD101", "GD204", "GD109"]


def test_acknowledged_findings_come_last_and_are_not_counted() -> None:
    """What the user knows about does not shout."""
    known = [replace(finding, acknowledged="on purpose") for finding in findings(9)[1:2]]
    rows = finding_rows([*known, *findings(9)[2:]])
    assert [row.code for row in rows] == ["GD109", "GD101"]
    assert plain(tally(known)) == "✔ no findings"


def test_the_tally_names_every_severity_that_occurs() -> None:
    """Counts agree with their words."""
    assert plain(tally(findings(9))) == "✖ 1 error  ▲ 1 warning  ● 1 note"


def test_a_finding_in_full_marks_the_guilty_lines() -> None:
    """The source is quoted, and each guilty line says which part it plays."""
    text = [plain(line) for line in finding_lines(finding_detail(findings(9)[1]))]
    assert "▶ 13 │     loss.backward()  ◀ backward" in text
    assert "▶ 15 │     optimizer.step()  ◀ step" in text
    assert "fix  Call optimizer.zero_grad() before loss.backward() in each step." in text


def test_a_long_list_of_parameters_is_counted_out() -> None:
    """A thousand names do not bury the fix."""
    detail = finding_detail(findings(9)[1], parameters=2)
    assert (detail.parameters, detail.more_parameters) == (("encoder.0.weight", "encoder.0.bias"), 4)


def test_only_findings_that_span_a_step_belong_to_it() -> None:
    """A finding of step 4 is not shown in step 5."""
    assert [finding.rule for finding in findings_at(findings(9), 4)] == ["GD101", "GD204"]
    assert [finding.rule for finding in findings_at(findings(9), 5)] == ["GD101"]


def test_acknowledged_findings_are_folded_away() -> None:
    """A line says that there are some; without any there is no such line."""
    some = [replace(findings(9)[1], acknowledged="on purpose"), *findings(9)[2:]]
    assert [row and row.code for row in folded_rows(some, folded=True)] == ["GD109", None]
    assert [row and row.code for row in folded_rows(some, folded=False)] == ["GD109", None, "GD101"]
    assert None not in folded_rows(findings(9), folded=True)
