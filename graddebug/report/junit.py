"""Findings as JUnit XML: one test case a rule.

A rule and not a finding is the case, so that a case has a history: it passed yesterday and fails today. It
fails exactly where `graddebug check` would, is skipped where the rule could judge nothing, and passes
otherwise; findings that do not fail (notes, acknowledged ones) are its output.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from graddebug.diagnose.evidence import Judgement, Outcome
from graddebug.records import Finding
from graddebug.report.report import Report
from graddebug.report.text import render_finding
from graddebug.views.printable import printable

#: What XML 1.0 cannot hold, besides what `printable` shows.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Report) -> str:
    """One suite for the run, as a document."""
    cases = [_case(judgement, report) for judgement in report.judgements]
    root = ElementTree.Element("testsuites", name="graddebug")
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name=_safe(f"graddebug {report.run.get('folder', '')}"),
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors="0",
        skipped=str(sum(case.find("skipped") is not None for case in cases)),
    )
    suite.extend(cases)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def _case(judgement: Judgement, report: Report) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase", classname="graddebug", name=_safe(f"{judgement.rule} {judgement.slug}")
    )
    mine = [finding for finding in report.findings if finding.rule == judgement.rule]
    failing = [finding for finding in mine if report.fails(finding)]
    if failing:
        failure = ElementTree.SubElement(case, "failure", type=failing[0].severity.word)
        failure.set("message", _safe(failing[0].message))
        failure.text = _text(failing, report)
    elif judgement.outcome in (Outcome.NOT_APPLICABLE, Outcome.NOT_JUDGED):
        ElementTree.SubElement(
            case, "skipped", message=_safe(f"{judgement.outcome.value}: {judgement.reason}")
        )
    rest = [finding for finding in mine if finding not in failing]
    if rest:
        ElementTree.SubElement(case, "system-out").text = _text(rest, report)
    return case


def _text(findings: list[Finding], report: Report) -> str:
    told = [render_finding(finding, colour=False, width=100) for finding in findings]
    page = report.pages.get(findings[0].rule)
    return _FORBIDDEN.sub("\ufffd", "\n\n".join([*told, *([page] if page else [])]))


def _safe(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", printable(text))
