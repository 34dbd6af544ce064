"""Findings of today, known again tomorrow."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from graddebug.errors import UsageError
from graddebug.known.baseline import (
    Baseline,
    accepted,
    baseline_of,
    read_baseline,
    stale_note,
    write_baseline,
)
from graddebug.records import Finding, Role, Severity, Site

FOLDER = "/home/ada/project"


def at(line: int, source: str, *, file: str = "train.py", role: str = "step") -> Role:
    return Role(role, Site(f"{FOLDER}/{file}", line, "f", excerpt=(f"    {source}",), excerpt_start=line))


FOUND = Finding(
    id="GD101-1",
    rule="GD101",
    slug="stale-gradient",
    severity=Severity.ERROR,
    message="-",
    fix="-",
    first_step=3,
    last_step=9,
    count=7,
    parameters=("a", "b"),
    roles=(at(12, "loss.backward()", role="backward"), at(13, "optimizer.step()")),
)
UNPLACED = replace(FOUND, id="GD204-1", rule="GD204", roles=())


def known(path: Path, *findings: Finding) -> Baseline:
    """A baseline of findings, through its file."""
    write_baseline(baseline_of(findings, path, folder=FOLDER))
    return read_baseline(path)


def open_ids(baseline: Baseline, *findings: Finding, folder: str = FOLDER) -> list[str]:
    marked, _ = accepted(baseline, findings, folder=folder)
    return [finding.id for finding in marked if finding.acknowledged is None]


def moved(finding: Finding, by: int, folder: str = FOLDER) -> Finding:
    """The same lines elsewhere."""
    sites = [
        replace(
            r.site,
            file=r.site.file.replace(FOLDER, folder),
            line=r.site.line + by,
            excerpt_start=r.site.excerpt_start + by,
        )
        for r in finding.roles
    ]
    return replace(finding, roles=tuple(Role(r.role, s) for r, s in zip(finding.roles, sites, strict=True)))


@pytest.mark.parametrize(
    "again",
    [
        FOUND,
        moved(FOUND, 40),
        replace(
            FOUND, id="x", first_step=0, count=1, parameters=("a", "b", "c"), message="+", evidence={"x": 1}
        ),
        replace(FOUND, roles=(at(12, "loss.backward()", role="backward"), at(13, "optimizer.step()  # why"))),
        UNPLACED,
    ],
    ids=["same", "moved", "other step", "commented", "unplaced"],
)
def test_a_known_finding_is_known_again(tmp_path: Path, again: Finding) -> None:
    """Whatever its lines' numbers, its steps and its count are by now."""
    baseline = known(tmp_path / "known.json", FOUND, UNPLACED)
    assert open_ids(baseline, again) == []
    (marked,), _ = accepted(baseline, [again], folder=FOLDER)
    assert (marked.acknowledged, marked.acknowledged_by) == ("known by the baseline", "baseline known.json")


def test_it_is_known_in_another_checkout(tmp_path: Path) -> None:
    """Files are named from where the program ran."""
    baseline = known(tmp_path / "known.json", FOUND)
    assert open_ids(baseline, moved(FOUND, 0, "/ci/build"), folder="/ci/build") == []
    assert "ada" not in baseline.path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "new",
    [
        replace(FOUND, rule="GD102"),
        replace(FOUND, roles=(at(12, "loss.backward()", role="backward"), at(13, "opt.step()"))),
        replace(
            FOUND, roles=(at(12, "loss.backward()", role="backward"), at(13, "optimizer.step()", file="b.py"))
        ),
        replace(FOUND, roles=(at(12, "loss.backward()", role="forward"), at(13, "optimizer.step()"))),
        replace(UNPLACED, parameters=("a", "c")),
    ],
    ids=["rule", "text", "file", "role", "parameters"],
)
def test_another_finding_is_new(tmp_path: Path, new: Finding) -> None:
    """Another rule, line, file or part."""
    assert open_ids(known(tmp_path / "known.json", FOUND, UNPLACED), new) == [new.id]


def test_of_alike_findings_so_many_are_known(tmp_path: Path) -> None:
    """A second loop with the same two lines."""
    second, third = replace(moved(FOUND, 40), id="second"), replace(moved(FOUND, 80), id="third")
    assert open_ids(known(tmp_path / "known.json", FOUND), FOUND, second) == ["second"]
    assert open_ids(known(tmp_path / "two.json", FOUND, second), FOUND, second, third) == ["third"]


def test_what_is_acknowledged_otherwise_is_not_written(tmp_path: Path) -> None:
    """It has its reason already."""
    baseline = known(tmp_path / "known.json", replace(FOUND, acknowledged="on purpose"), UNPLACED)
    assert [entry.fingerprint.rule for entry in baseline.entries] == ["GD204"]


def test_what_does_not_occur_any_more_is_told(tmp_path: Path) -> None:
    """With its lines, and how to write the file anew."""
    baseline = known(tmp_path / "known.json", FOUND, moved(FOUND, 40), UNPLACED)
    _, stale = accepted(baseline, [FOUND], folder=FOLDER)
    notes = [stale_note(entry, baseline, step=9) for entry in stale]
    assert [note.message for note in notes] == [
        "The baseline known.json knows GD101 at train.py `loss.backward()` (backward) and train.py "
        "`optimizer.step()` (step), and this run has no such finding, or fewer of them.",
        "The baseline known.json knows GD204 at a and b, and this run has no such finding, or fewer of them.",
    ]
    assert {note.rule for note in notes} == {"GD001"}
    assert all("--write-baseline" in note.fix for note in notes)


def test_the_file_reads_well_and_keeps_reasons(tmp_path: Path) -> None:
    """Sorted, whatever the order of the findings; what people write into it stays."""
    path = tmp_path / "known.json"
    known(path, UNPLACED, FOUND)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document == {
        "graddebug_baseline": 1,
        "findings": [
            {
                "rule": "GD101",
                "lines": [
                    {"file": "train.py", "role": "backward", "code": "loss.backward()"},
                    {"file": "train.py", "role": "step", "code": "optimizer.step()"},
                ],
                "count": 1,
                "reason": "",
            },
            {"rule": "GD204", "parameters": ["a", "b"], "count": 1, "reason": ""},
        ],
    }
    document["findings"][0]["reason"] = "issue 12"
    path.write_text(json.dumps(document), encoding="utf-8")
    (marked,), _ = accepted(known(path, FOUND), [FOUND], folder=FOLDER)
    assert marked.acknowledged == "issue 12"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot read the baseline .*No such file.*--write-baseline"),
        ("{", "is no baseline: "),
        ("[]", 'is no baseline: expected a JSON object with "graddebug_baseline": 1'),
        ('{"graddebug_baseline": 2, "findings": []}', "is a baseline of version 2; this graddebug reads 1"),
        ('{"graddebug_baseline": 1}', '"findings" is None, not a list'),
        (
            '{"graddebug_baseline": 1, "findings": [{"lines": []}]}',
            r'"findings"\[0\] is no entry of a baseline',
        ),
        ('{"graddebug_baseline": 1, "findings": ["GD101"]}', r'"findings"\[0\] is no entry of a baseline'),
    ],
)
def test_a_file_that_is_no_baseline(tmp_path: Path, text: str | None, told: str) -> None:
    """It is named, with what is wrong."""
    path = tmp_path / "known.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=told):
        read_baseline(path)


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """One line says so."""
    with pytest.raises(UsageError, match="cannot write the baseline"):
        write_baseline(Baseline(tmp_path, ()))
