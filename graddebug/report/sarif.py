"""Findings as SARIF 2.1.0, the format that code scanning reads."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import quote

from graddebug import __version__
from graddebug.diagnose.wording import without_comment
from graddebug.records import Finding, NotObservable, Role, Severity
from graddebug.report.json import plain
from graddebug.report.report import Report, is_file
from graddebug.report.rule_page import markdown_page
from graddebug.views.printable import printable

if TYPE_CHECKING:
    from graddebug.diagnose.rule import Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
#: What relative paths are relative to: the root of the project, wherever that is checked out.
BASE = "SRCROOT"

Object = dict[str, object]


def sarif(reports: Iterable[Report], rules: Mapping[str, type[Rule]]) -> str:
    """One document with a run for each report; ``rules`` are all that there are."""
    document: Object = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [_run(report, rules) for report in reports],
    }
    return json.dumps(plain(document), indent=2, allow_nan=False)


def _run(report: Report, rules: Mapping[str, type[Rule]]) -> Object:
    known = {code: rules[code] for code in sorted({finding.rule for finding in report.findings} & set(rules))}
    places = {code: place for place, code in enumerate(known)}
    driver = {
        "name": "graddebug",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_rule(rule, report) for rule in known.values()],
    }
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"graddebug/{_title(report)}/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {BASE: {"description": {"text": "The folder that the program is part of."}}},
        "invocations": [_invocation(report)],
        "results": list(_results(report, places)),
        "properties": {"steps": report.steps, "run": dict(report.run)},
    }


def _title(report: Report) -> str:
    return printable(str(report.run.get("title") or "run")).replace("/", "-")


def _invocation(report: Report) -> Object:
    return {
        "executionSuccessful": True,
        "toolExecutionNotifications": [_notification(unseen, report) for unseen in report.not_observable],
    }


def _notification(unseen: NotObservable, report: Report) -> Object:
    """What was not seen is a word of the tool about itself, not a result."""
    text = f"Not observable: {printable(unseen.what)}: {printable(unseen.reason)}"
    site = unseen.site
    where = [_location(Role("", site), report)] if site is not None and is_file(site.file) else []
    return {"level": "note", "message": {"text": text}, **({"locations": where} if where else {})}


def _rule(rule: type[Rule], report: Report) -> Object:
    page = report.pages.get(rule.code)
    return {
        "id": rule.code,
        "name": "".join(part.capitalize() for part in rule.slug.split("-")),
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": " ".join(inspect.cleandoc(rule.why).split())},
        "help": {"text": " ".join(inspect.cleandoc(rule.fix).split()), "markdown": markdown_page(rule)},
        **({"helpUri": page} if page else {}),
        "defaultConfiguration": {"level": _level(rule.severity)},
        "properties": {"tags": ["pytorch", "gradients"]},
    }


def _level(severity: Severity) -> str:
    return severity.word  # "error", "warning", "note": SARIF has the same three


def _results(report: Report, places: Mapping[str, int]) -> Iterator[Object]:
    alike: Counter[str] = Counter()
    for finding in report.findings:
        print_ = _fingerprint(finding, report)
        alike[print_] += 1
        yield _result(finding, report, places, f"{print_}:{alike[print_]}")


def _result(finding: Finding, report: Report, places: Mapping[str, int], print_: str) -> Object:
    lines = [role for role in finding.roles if is_file(role.site.file)]
    place = places.get(finding.rule)
    known = finding.acknowledged
    return {
        "ruleId": finding.rule,
        **({} if place is None else {"ruleIndex": place}),
        "level": _level(finding.severity),
        "message": {"text": f"{printable(finding.message)} {printable(finding.fix)}".strip()},
        # The last line did the harm; code scanning shows the first location only.
        "locations": [_location(lines[-1], report)] if lines else [],
        "relatedLocations": [_location(role, report, number) for number, role in enumerate(lines, start=1)],
        "partialFingerprints": {"graddebugLines/v1": print_},
        **({} if known is None else {"suppressions": [_suppression(finding)]}),
        "occurrenceCount": max(1, finding.count),
        "properties": _properties(finding),
    }


def _properties(finding: Finding) -> Object:
    return {
        "id": finding.id,
        "firstStep": finding.first_step,
        "lastStep": finding.last_step,
        "parameters": [printable(name) for name in finding.parameters],
        "evidence": finding.evidence,
        "fix": finding.fix,
    }


def _suppression(finding: Finding) -> Object:
    """A comment on the line is in the source; a file, a flag or a baseline is not."""
    where = "inSource" if finding.acknowledged_by.startswith("comment") else "external"
    reason = f"{finding.acknowledged} ({finding.acknowledged_by})" if finding.acknowledged_by else ""
    return {"kind": where, "justification": printable(reason or finding.acknowledged or "")}


def _location(role: Role, report: Report, number: int | None = None) -> Object:
    site = role.site
    region: Object = {"startLine": max(1, site.line)}
    if site.source:
        region["snippet"] = {"text": printable(site.source)}
    place = {"artifactLocation": artifact(report.path(site.file)), "region": region}
    return {
        **({} if number is None else {"id": number}),
        "physicalLocation": place,
        **({"message": {"text": printable(role.role)}} if role.role else {}),
    }


def artifact(path: str) -> Object:
    """A relative path from the project's root, an absolute one as a file's own address."""
    encoded = path.encode("utf-8", "surrogatepass")
    if PurePath(path).is_absolute():
        return {"uri": "file://" + quote(encoded)}
    return {"uri": quote(encoded), "uriBaseId": BASE}


def _fingerprint(finding: Finding, report: Report) -> str:
    """The same for the same lines wherever they move to: their file, part and text, not their number."""
    lines = sorted(
        {(report.path(r.site.file), r.role, without_comment(r.site.source)) for r in finding.roles}
    )
    told = (lines, () if lines else sorted(finding.parameters))
    return hashlib.sha256(repr((finding.rule, told)).encode("utf-8", "surrogatepass")).hexdigest()[:32]
