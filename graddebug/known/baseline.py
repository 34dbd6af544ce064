"""A baseline: the findings of today, written down, so that only what is new fails.

A finding is known again by its rule and by its lines: their part, file and text, as they are without
comments. Line numbers, steps and counts do not matter; a finding without lines is known by its parameters.
Where two findings are alike in all that, the baseline says how many there are.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from graddebug.diagnose.acknowledge import ABOUT_ACKNOWLEDGING
from graddebug.diagnose.rules.stale_acknowledgement import StaleAcknowledgement
from graddebug.diagnose.wording import names, without_comment
from graddebug.errors import UsageError
from graddebug.records import Finding, Role, Severity

VERSION = 1
_REASON = "known by the baseline"


@dataclass(frozen=True, slots=True, order=True)
class KnownLine:
    """A line of a finding: its file relative to where the program ran, its part, its text."""

    file: str
    role: str
    code: str


@dataclass(frozen=True, slots=True, order=True)
class Fingerprint:
    """What a finding is known again by."""

    rule: str
    lines: tuple[KnownLine, ...]
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """So many findings that are alike, and why they are accepted."""

    fingerprint: Fingerprint
    count: int = 1
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The entries of a file."""

    path: Path
    entries: tuple[Entry, ...]


# --- findings -------------------------------------------------------------------------------


def fingerprint(finding: Finding, *, folder: str) -> Fingerprint:
    """What a finding is known again by; ``folder`` is where the program ran."""
    lines = tuple(sorted({_known_line(role, folder) for role in finding.roles}))
    return Fingerprint(finding.rule, lines, () if lines else tuple(sorted(finding.parameters)))


def _known_line(role: Role, folder: str) -> KnownLine:
    return KnownLine(_relative(role.site.file, folder), role.role, without_comment(role.site.source))


def _relative(file: str, folder: str) -> str:
    if not os.path.isabs(file) or not folder:
        return file
    try:
        return PurePath(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # another drive
        return PurePath(file).as_posix()


def accepted(
    baseline: Baseline, findings: Iterable[Finding], *, folder: str
) -> tuple[list[Finding], list[Entry]]:
    """The findings, those that the baseline knows marked; and the entries that are not all there any more."""
    left = Counter({entry.fingerprint: entry.count for entry in baseline.entries})
    reasons = {entry.fingerprint: entry.reason for entry in baseline.entries}
    marked = []
    for finding in findings:
        known = fingerprint(finding, folder=folder)
        if finding.acknowledged is None and left[known] > 0:
            left[known] -= 1
            marked.append(_marked(finding, reasons[known], baseline))
        else:
            marked.append(finding)
    return marked, [entry for entry in baseline.entries if left[entry.fingerprint] > 0]


def _marked(finding: Finding, reason: str, baseline: Baseline) -> Finding:
    return replace(finding, acknowledged=reason or _REASON, acknowledged_by=f"baseline {baseline.path.name}")


def stale_note(entry: Entry, baseline: Baseline, *, step: int) -> Finding:
    """A note that the baseline knows what is not there any more."""
    known = entry.fingerprint
    lines = [f"{line.file} `{line.code}` ({line.role})" for line in known.lines]
    where = names(lines or list(known.parameters))
    return Finding(
        id=f"{StaleAcknowledgement.code}-{hashlib.sha1(repr(known).encode()).hexdigest()[:8]}",
        rule=StaleAcknowledgement.code,
        slug=StaleAcknowledgement.slug,
        severity=Severity.NOTE,
        message=f"The baseline {baseline.path.name} knows {known.rule}{f' at {where}' if where else ''}, "
        "and this run has no such finding, or fewer of them.",
        fix=f"Write it anew: `graddebug check RUN --write-baseline {baseline.path}`.",
        first_step=step,
        last_step=step,
    )


# --- the file -------------------------------------------------------------------------------


def baseline_of(findings: Iterable[Finding], path: Path, *, folder: str) -> Baseline:
    """A baseline of all findings that are not acknowledged otherwise; reasons of ``path`` are kept."""
    before = read_baseline(path).entries if path.exists() else ()
    reasons = {entry.fingerprint: entry.reason for entry in before}
    told = (one for one in findings if one.acknowledged is None and one.rule not in ABOUT_ACKNOWLEDGING)
    counts = Counter(fingerprint(one, folder=folder) for one in told)
    return Baseline(
        path,
        tuple(Entry(print_, count, reasons.get(print_, "")) for print_, count in sorted(counts.items())),
    )


def write_baseline(baseline: Baseline) -> None:
    """Write the file: sorted, a line a value, so that changes read well; `UsageError` if it cannot."""
    document = {"graddebug_baseline": VERSION, "findings": [_plain(entry) for entry in baseline.entries]}
    try:
        baseline.path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write the baseline {baseline.path}: {error.strerror}") from None


def _plain(entry: Entry) -> dict[str, object]:
    known = entry.fingerprint
    plain: dict[str, object] = {"rule": known.rule}
    if known.lines:
        plain["lines"] = [{"file": line.file, "role": line.role, "code": line.code} for line in known.lines]
    if known.parameters:
        plain["parameters"] = list(known.parameters)
    return {**plain, "count": entry.count, "reason": entry.reason}


def read_baseline(path: Path) -> Baseline:
    """The baseline in a file; `UsageError` for a file that is none, or of a newer version."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"cannot read the baseline {path}: {error.strerror}. "
            f"`graddebug check RUN --write-baseline {path}` writes one."
        ) from None
    except ValueError as error:
        raise UsageError(f"{path} is no baseline: {error}") from None
    version = document.get("graddebug_baseline") if isinstance(document, dict) else None
    if type(version) is not int or version < 1:
        raise UsageError(
            f'{path} is no baseline: expected a JSON object with "graddebug_baseline": {VERSION}.'
        )
    if version > VERSION:
        raise UsageError(
            f"{path} is a baseline of version {version}; this graddebug reads {VERSION}: write it anew."
        )
    return Baseline(path, tuple(_entries(document.get("findings"), path)))


def _entries(value: object, path: Path) -> Iterable[Entry]:
    if not isinstance(value, Sequence):
        raise UsageError(f'{path}: "findings" is {value!r:.60}, not a list.')
    for place, plain in enumerate(value):
        try:
            yield _entry(plain)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise UsageError(
                f'{path}: "findings"[{place}] is no entry of a baseline: {plain!r:.80}'
            ) from None


def _entry(plain: Mapping[str, Any]) -> Entry:
    lines = (
        KnownLine(str(one["file"]), str(one["role"]), str(one["code"])) for one in plain.get("lines", ())
    )
    parameters = tuple(sorted(str(name) for name in plain.get("parameters", ())))
    known = Fingerprint(str(plain["rule"]), tuple(sorted(lines)), parameters)
    return Entry(known, int(plain.get("count", 1)), str(plain.get("reason", "")))
