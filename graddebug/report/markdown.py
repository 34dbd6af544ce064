"""Findings as Markdown, short enough for a comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator

from graddebug.records import Finding, Severity
from graddebug.report.report import Report
from graddebug.report.weigh import counted, open_ones, tally
from graddebug.views.printable import printable

_SIGNS = {Severity.ERROR: "❌", Severity.WARNING: "⚠️", Severity.NOTE: "💡"}
_SPECIAL = re.compile(r"([\\*_\[\]|<>~&`$])")
#: What makes a list or a heading where a line begins with it.
_OPENING = re.compile(r"^(\d*)([-+#=.)])")
_CODE = re.compile(r"(`[^`\n]+`)")


def markdown(report: Report) -> str:
    """A heading with the count, a section a finding, and what was acknowledged or not seen, folded away."""
    opened = open_ones(report.findings)
    known = [finding for finding in report.findings if finding.acknowledged is not None]
    parts = [f"### graddebug: {tally(report.findings)} in {counted(report.steps, 'step')}"]
    parts += ["\n\n".join(_finding(finding, report)) for finding in opened]
    parts += _folded(f"{len(known)} acknowledged", [_known(finding, report) for finding in known])
    unseen = dict.fromkeys(f"- {escaped(u.what)}: {escaped(u.reason)}" for u in report.not_observable)
    parts += _folded(f"{counted(len(unseen), 'thing')} could not be observed", list(unseen))
    return "\n\n".join(parts)


def _finding(finding: Finding, report: Report) -> Iterator[str]:
    yield (
        f"{_SIGNS[finding.severity]} **{finding.severity.word}** {_rule(finding, report)}, {_seen(finding)}"
    )
    yield prose(finding.message)
    if finding.roles:
        yield "\n".join(_lines(finding, report))
    yield f"**Fix:** {prose(finding.fix)}"


def _rule(finding: Finding, report: Report) -> str:
    page = report.pages.get(finding.rule)
    code = escaped(finding.rule)
    return f"{f'[{code}](<{page}>)' if page else code} {code_span(finding.slug)}"


def _seen(finding: Finding) -> str:
    if finding.count == 1:
        return f"step {finding.first_step}"
    return f"{finding.count:,} times, steps {finding.first_step} to {finding.last_step}"


def _lines(finding: Finding, report: Report) -> Iterator[str]:
    for role in finding.roles:
        where = code_span(f"{report.path(role.site.file)}:{role.site.line}")
        source = f" {code_span(role.site.source)}" if role.site.source else ""
        yield f"- {where} ({escaped(role.role)}){source}"


def _known(finding: Finding, report: Report) -> str:
    by = f" ({escaped(finding.acknowledged_by)})" if finding.acknowledged_by else ""
    return f"- {_rule(finding, report)}: {escaped(finding.acknowledged or '')}{by}"


def _folded(title: str, lines: list[str]) -> list[str]:
    if not lines:
        return []
    return ["\n".join([f"<details><summary>{title}</summary>", "", *lines, "", "</details>"])]


def prose(text: str) -> str:
    """A sentence of ours: what stands between backticks stays code, everything else is only text."""
    parts = _CODE.split(_one_line(text))
    return "".join(code_span(part[1:-1]) if _CODE.fullmatch(part) else escaped(part) for part in parts)


def escaped(text: str) -> str:
    """The text with nothing in it that Markdown, HTML or a mention (``@name``) would act on."""
    safe = _OPENING.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", _one_line(text)))
    return safe.replace("@", "@\u200b")  # GitHub looks for mentions in what was rendered


def code_span(text: str) -> str:
    """The text as code, with more backticks around than any run of them inside."""
    text = _one_line(text)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, pad = "`" * (longest + 1), " " if "`" in text else ""
    return f"{fence}{pad}{text or ' '}{pad}{fence}"


def _one_line(text: str) -> str:
    return printable(text)
