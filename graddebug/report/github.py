"""Findings as workflow commands, which GitHub shows beside the lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from graddebug.records import Finding, Severity
from graddebug.report.report import Report, is_file
from graddebug.views.printable import printable

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def github(report: Report) -> str:
    """One line a finding that is not acknowledged; empty for none."""
    return "\n".join(_command(finding, report) for finding in report.findings if finding.acknowledged is None)


def _command(finding: Finding, report: Report) -> str:
    properties = ",".join(f"{name}={_property(value)}" for name, value in _properties(finding, report))
    return f"::{_COMMANDS[finding.severity]} {properties}::{_data(_message(finding, report))}"


def _properties(finding: Finding, report: Report) -> Iterator[tuple[str, str]]:
    if finding.roles and is_file(finding.roles[-1].site.file):
        yield "file", report.path(finding.roles[-1].site.file)
        yield "line", str(finding.roles[-1].site.line)
    yield "title", f"{finding.rule} {finding.slug}"


def _message(finding: Finding, report: Report) -> str:
    lines = [printable(finding.message), f"Fix: {printable(finding.fix)}"]
    lines += [
        f"{printable(role.role)}: {printable(report.path(role.site.file))}:{role.site.line}"
        for role in finding.roles[:-1]
    ]
    page = report.pages.get(finding.rule)
    return "\n".join([*lines, *([page] if page else [])])


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(printable(text)).replace(":", "%3A").replace(",", "%2C")
