"""Findings as SARIF, workflow commands, Markdown and JUnit XML."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from markdown_it import MarkdownIt

from graddebug.commands.check import FORMATS, formatted
from graddebug.diagnose.evidence import Judgement, Outcome
from graddebug.records import Finding, Role, Severity
from graddebug.report.report import Report
from tests.report.stories import EVAL, STALE, UNSEEN, finding, site

SCHEMA = Path(__file__).parent / "schema" / "sarif-schema-2.1.0.json"
PAGE = "https://rules.example/GD101.md"
EVIL = "a\x1b]0;x\x07\u202e\r\n]]>::error::</details><script>&\"'`|@you %0A, [x](y) \ud800 \x00"
FORMED = [name for name in FORMATS if name != "text"]


def report(*findings: Finding, **changes: Any) -> Report:
    """A report on a run in ``/home/ada``."""
    found = {one.rule for one in findings}
    judgements = [
        Judgement("GD101", "stale-gradient", Outcome.NOTHING_FOUND),
        Judgement("GD304", "graph-without-backward", Outcome.NOTHING_FOUND),
        Judgement("GD402", "backward-not-scaled", Outcome.NOT_APPLICABLE, "no loss scaler was in use"),
    ]
    fields: dict[str, Any] = {
        "run": {"folder": "runs/demo", "title": "train"},
        "steps": 400,
        "findings": findings,
        "not_observable": (UNSEEN,),
        "judgements": tuple(
            replace(one, outcome=Outcome.FOUND) if one.rule in found else one for one in judgements
        ),
        "folders": ("/home/ada",),
        "pages": {"GD101": PAGE},
    }
    return Report(**{**fields, **changes})


def evil() -> Finding:
    """A finding all of whose words are hostile."""
    roles = (Role(EVIL, site(4, EVIL, file=f"/home/ada/{EVIL}.py", library=EVIL)),)
    return finding(
        message=EVIL,
        fix=EVIL,
        parameters=(EVIL,),
        roles=roles,
        evidence={EVIL: EVIL, "inf": float("inf")},
        acknowledged_by=EVIL,
    )


def sarif(*findings: Finding, **changes: Any) -> dict[str, Any]:
    """The run of a SARIF document that its schema accepts."""
    document = json.loads(formatted("sarif", report(*findings, **changes)))
    jsonschema.Draft4Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(document)
    run: dict[str, Any] = document["runs"][0]
    return run


@pytest.mark.parametrize("findings", [(), (STALE, EVAL), (finding(roles=()),), (evil(),)])
def test_sarif_keeps_to_its_schema(findings: tuple[Finding, ...]) -> None:
    """Whatever was found, OASIS's own schema accepts the document."""
    assert len(sarif(*findings)["results"]) == len(findings)


def test_the_schema_can_refuse() -> None:
    """The check of the schema is able to fail."""
    document = json.loads(formatted("sarif", report(STALE)))
    document["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(document)


def test_sarif_tells_lines_relative_to_the_project() -> None:
    """The guilty line is the location, all lines are related ones with their parts."""
    (result,) = sarif(STALE)["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "train.py", "uriBaseId": "SRCROOT"}
    assert place["region"]["startLine"] == 5
    assert [one["message"]["text"] for one in result["relatedLocations"]] == ["backward", "step"]
    assert (result["level"], result["ruleId"], result["ruleIndex"]) == ("error", "GD101", 0)


def test_a_file_elsewhere_has_its_whole_address() -> None:
    """A path outside the project is absolute, and what a URI cannot hold is encoded."""
    (result,) = sarif(finding(roles=(Role("step", site(5, file="/opt/my code/a%b.py")),)))["results"]
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "file:///opt/my%20code/a%25b.py"}


def test_fingerprints_survive_moved_lines_and_tell_twins_apart() -> None:
    """A line that moves keeps its fingerprint; two findings never share one."""
    moved = finding(
        roles=tuple(
            replace(
                role,
                site=replace(role.site, line=role.site.line + 7, excerpt_start=role.site.excerpt_start + 7),
            )
            for role in STALE.roles
        )
    )
    prints = [one["partialFingerprints"] for one in sarif(STALE, STALE)["results"]]
    assert sarif(moved)["results"][0]["partialFingerprints"] == prints[0] != prints[1]


def test_acknowledged_findings_are_suppressed() -> None:
    """A comment on the line is in the source, everything else outside of it; the reason goes along."""
    inside = finding(acknowledged="known", acknowledged_by="comment train.py:5")
    outside = finding(acknowledged="known", acknowledged_by="baseline known.json")
    kinds = [one["suppressions"][0] for one in sarif(inside, outside)["results"]]
    assert [kind["kind"] for kind in kinds] == ["inSource", "external"]
    assert kinds[0]["justification"] == "known (comment train.py:5)"


def test_sarif_explains_its_rules_and_what_was_not_seen() -> None:
    """Each rule that is named is described, with its page; what was not observable is a notification."""
    run = sarif(STALE)
    (rule,) = run["tool"]["driver"]["rules"]
    assert (rule["name"], rule["helpUri"]) == ("StaleGradient", "https://rules.example/GD101.md")
    assert "zero_grad" in rule["help"]["markdown"]
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert UNSEEN.reason in told["message"]["text"]
    assert run["automationDetails"]["id"] == "graddebug/train/"


def test_a_workflow_command() -> None:
    """Severity, file, line and title; what ends a property or the line is encoded."""
    tricky = finding(
        severity=Severity.WARNING,
        message="50%\nof it",
        fix="x",
        roles=(Role("step", site(5, file="/home/ada/a,b:c.py")),),
    )
    assert formatted("github", report(tricky, pages={})) == (
        "::warning file=a%2Cb%3Ac.py,line=5,title=GD101 stale-gradient::50%25\u240aof it%0AFix: x"
    )


def test_a_note_is_a_notice_and_an_acknowledged_one_nothing() -> None:
    """GitHub knows no note; what is acknowledged is not shown again in every pull request."""
    note, known = finding(severity=Severity.NOTE), finding(acknowledged="known")
    lines = formatted("github", report(note, known)).splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["::notice"]


def test_hostile_words_stay_in_their_command() -> None:
    """A name with line ends cannot begin a command of its own."""
    (line,) = formatted("github", report(evil())).split("\n")
    assert line.count("\r") == 0


def test_markdown_reads_well() -> None:
    """Heading, severity, linked code, lines and fix; code stays code."""
    text = formatted("markdown", report(STALE))
    assert text.startswith("### graddebug: 1 error in 400 steps\n")
    assert "**error** [GD101](<https://rules.example/GD101.md>) `stale-gradient`, 399 times" in text
    assert "- `train.py:5` (step) `optimizer.step()`" in text
    assert "**Fix:** Call `optimizer.zero_grad()` before `loss.backward()` (train.py:4)." in text
    assert "gradients inside a compiled region: torch.compile hides them" in text


def test_hostile_words_stay_words_in_markdown() -> None:
    """Tags, links, mentions and line ends have no effect."""
    text = formatted("markdown", report(evil(), not_observable=()))
    lines = [inner for block in MarkdownIt().parse(text) for inner in block.children or [block]]
    written = [line.content for line in lines if line.type == "text"]
    assert not {line.type for line in lines} & {"html_inline", "html_block", "image"}
    assert [line.attrs["href"] for line in lines if line.type == "link_open"] == [PAGE]
    assert not any("@you" in part for part in written)


@pytest.mark.parametrize("found", [(STALE, EVAL), (evil(),)])
def test_junit_is_xml_with_a_case_for_each_rule(found: tuple[Finding, ...]) -> None:
    """A rule that found something fails, one with nothing to judge is skipped, the others pass."""
    suite = ElementTree.fromstring(formatted("junit", report(*found))).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", str(len(found)), "1")
    assert next(case.get("name") for case in suite) == "GD101 stale-gradient"


def test_junit_fails_exactly_where_check_does() -> None:
    """Acknowledged findings, and those below --fail-on, are output of a case that passes."""
    known = finding(acknowledged="known")
    text = formatted("junit", report(known, EVAL, least=Severity.ERROR))
    suite = ElementTree.fromstring(text).find("testsuite")
    assert suite is not None
    assert suite.get("failures") == "0"
    assert sum(case.find("system-out") is not None for case in suite) == 2


@pytest.mark.parametrize("name", FORMED)
def test_no_control_character_gets_out(name: str) -> None:
    """Whatever the format, the recording's control characters do not reach who reads it."""
    text = formatted(name, report(evil()))
    assert not any(sign in text for sign in "\x1b\x07\u202e\r\x00\ud800")
    text.encode("utf-8")
