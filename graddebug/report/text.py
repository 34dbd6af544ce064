"""Findings as text for people: the full form of `graddebug check` and the short form printed live."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from graddebug.records import Finding, Role, Severity
from graddebug.report.excerpt import quoted
from graddebug.report.place import place
from graddebug.report.terminal import hyperlink, paint
from graddebug.views.line import GLYPHS
from graddebug.views.printable import fit, printable
from graddebug.views.quote import quotes

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "blue"}
_NAMES_SHOWN = 6
_LABEL = 12


def render_finding(finding: Finding, *, colour: bool, width: int, page: str = "", link: str = "") -> str:
    """A finding in full: what, where with the quoted source, the proof in numbers, the fix.

    ``page`` is the address of the rule's page, to be told; ``link`` the same, to lie behind the rule's code.
    ``width`` is in columns; ``colour`` says whether to use ANSI colours. The text never carries a
    control character out of the recording: those are shown escaped.
    """
    title = _title(finding, colour=colour, link=link)
    lines = [title, *_wrapped(finding.message, width=width, indent="  "), ""]
    lines += [_row(role.role, _where(role), width=width) for role in finding.roles]
    for quote in quotes(finding.roles, around=1):
        lines += [f"    {line}" for line in quoted(quote, colour=colour, width=width - 4)]
    lines += [""] if finding.roles else []
    for label, value in _facts(finding):
        lines.append(_row(label, value, width=width))
    lines.append(_row("fix", finding.fix, width=width, style="green", colour=colour))
    if page:
        lines.append(_row("page", page, width=width, colour=colour))
    return "\n".join(lines)


def render_live(finding: Finding, *, colour: bool, width: int) -> str:
    """A finding in a few lines, for printing in the middle of a training run."""
    lines = [f"graddebug: {_title(finding, colour=colour)}, step {finding.first_step}"]
    lines += _wrapped(finding.message, width=width, indent="  ")
    for role in finding.roles:
        source = f"  {printable(role.site.source)}" if role.site.source else ""
        lines.append(fit(f"  {place(role.site)} ({printable(role.role)}){source}", width))
        if role.site.library:
            lines.append(fit(f"    through {printable(role.site.library)}", width))
    lines.append(_row("fix", finding.fix, width=width, style="green", colour=colour, label_width=5))
    return "\n".join(lines)


def render_headline(finding: Finding, *, colour: bool) -> str:
    """A finding in one line: severity, name, the line that did the harm, how often."""
    where = f"  {place(finding.roles[-1].site)}" if finding.roles else ""
    return f"{_title(finding, colour=colour)}{where}  {paint(_often(finding), 'dim', colour=colour)}"


def _title(finding: Finding, *, colour: bool, link: str = "") -> str:
    severity = finding.severity
    word = paint(f"{GLYPHS[severity]} {severity.word}", _COLOURS[severity], "bold", colour=colour)
    name = paint(f"{printable(finding.rule)} {printable(finding.slug)}", "bold", colour=colour)
    name = hyperlink(name, link, on=bool(link))
    return f"{word}  {name}{' (acknowledged)' if finding.acknowledged is not None else ''}"


def _where(role: Role) -> str:
    return f"{place(role.site)}{_through(role)}"


def _through(role: Role) -> str:
    """The library's frame through which the user's line made the call, if it did not make it itself."""
    return f", through {printable(role.site.library)}" if role.site.library else ""


def _facts(finding: Finding) -> list[tuple[str, str]]:
    facts = [
        ("evidence", _evidence(finding)),
        ("parameters", _names(finding.parameters)),
        ("seen", _seen(finding)),
    ]
    if finding.acknowledged is not None:
        where = f" ({finding.acknowledged_by})" if finding.acknowledged_by else ""
        facts.append(("known", f"{finding.acknowledged}{where}"))
    return [(label, value) for label, value in facts if value]


def _evidence(finding: Finding) -> str:
    return "; ".join(f"{name.replace('_', ' ')} {said(value)}" for name, value in finding.evidence.items())


def said(value: object) -> str:
    """A value of a finding's evidence in words: floats with four digits, long lists shortened."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return _names([said(item) for item in value])
    return str(value)


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    rest = len(names) - _NAMES_SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown


def _seen(finding: Finding) -> str:
    if finding.count == 1:
        return f"once, at step {finding.first_step}"
    return f"{finding.count:,} times, steps {finding.first_step} to {finding.last_step}"


def _often(finding: Finding) -> str:
    return "once" if finding.count == 1 else f"{finding.count:,} times"


def _row(
    label: str, value: str, *, width: int, style: str = "dim", colour: bool = False, label_width: int = _LABEL
) -> str:
    """A label and its value, the value wrapped under itself."""
    head = f"{printable(label):<{label_width - 1}} "
    body = _wrapped(value, width=width, indent="  " + " " * len(head))
    first = body[0].strip() if body else ""
    return "\n".join([f"  {paint(head, style, colour=colour)}{first}", *body[1:]])


def _wrapped(text: str, *, width: int, indent: str) -> list[str]:
    return textwrap.wrap(
        printable(text),
        width=max(width, len(indent) + 20),
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )
