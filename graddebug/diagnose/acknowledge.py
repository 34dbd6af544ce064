"""Which findings a user has said they know, and which of their words no finding answers to any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import ClassVar

from graddebug.records import Acknowledgement, Finding, ParameterInfo, RunEnd

#: Rules about acknowledgements: that nothing answers to one of these is no news.
ABOUT_ACKNOWLEDGING = ("GD001", "GD002")

_NO_REASON = "no reason given"


@dataclass(frozen=True, slots=True)
class AcknowledgementsSettled:
    """The run is over and every rule has spoken.

    ``stale`` are acknowledgements that no finding answered to, with the codes in question; ``unreadable``
    are comments that cannot be honoured.
    """

    kind: ClassVar[str] = "acknowledgements_settled"
    event: RunEnd
    stale: tuple[tuple[Acknowledgement, tuple[str, ...]], ...]
    unreadable: tuple[Acknowledgement, ...]


class Acknowledged:
    """What the user has acknowledged. ``entries`` may grow while findings appear."""

    def __init__(self, entries: Iterable[Acknowledgement] = ()) -> None:
        self.entries = list(entries)

    def look_at(self, finding: Finding) -> None:
        """Called for each finding before it is weighed: there may be more entries where it lies."""

    def marked(self, finding: Finding) -> Finding:
        """The finding, marked as known if an entry says so; the entry that says it most exactly counts."""
        self.look_at(finding)
        words = [entry for entry in self.entries if applies(entry, finding)]
        if not words:
            return finding
        word = min(words, key=_breadth)
        return replace(
            finding, acknowledged=word.reason or _NO_REASON, acknowledged_by=where_written(word.written)
        )

    def settled(
        self,
        event: RunEnd,
        findings: Sequence[Finding],
        *,
        judged: Collection[str],
        parameters: Sequence[ParameterInfo],
    ) -> AcknowledgementsSettled:
        """What to say of the entries at the end; ``judged`` are the codes that a finding could have had."""
        stale = ((entry, _unanswered(entry, findings, judged)) for entry in self.entries)
        return AcknowledgementsSettled(
            event,
            stale=tuple((entry, codes) for entry, codes in stale if codes and _concerns(entry, parameters)),
            unreadable=tuple(entry for entry in self.entries if entry.problem),
        )


def applies(entry: Acknowledgement, finding: Finding) -> bool:
    """Whether an acknowledgement speaks of a finding."""
    return (
        finding.rule in entry.rules
        and not entry.problem
        and (not entry.parameters or _named(entry, finding.parameters))
        and (not entry.file or any(holds(entry, role.site.file, role.site.line) for role in finding.roles))
    )


def holds(entry: Acknowledgement, file: str, line: int) -> bool:
    """Whether an acknowledgement that has a place is about a line."""
    first, last = entry.lines
    return (not last or first <= line <= last) and _same_file(entry.file, file)


def _same_file(said: str, file: str) -> bool:
    """Whether ``said`` is a file's path, the end of its path, or a glob of one of them."""
    path = PurePath(file).as_posix()
    return said == file or fnmatchcase(path, said) or fnmatchcase(path, f"*/{said}")


def where_written(written: str) -> str:
    """Where an acknowledgement stands, in short: a configuration file by its name."""
    return PurePath(written).name if PurePath(written).is_absolute() else written


def _named(entry: Acknowledgement, names: Sequence[str]) -> bool:
    return bool(names) and all(any(fnmatchcase(name, glob) for glob in entry.parameters) for name in names)


def _breadth(entry: Acknowledgement) -> tuple[bool, bool, bool, str, str]:
    return (not entry.lines[1], not entry.file, not entry.parameters, entry.written, entry.reason)


def _unanswered(
    entry: Acknowledgement, findings: Sequence[Finding], judged: Collection[str]
) -> tuple[str, ...]:
    if entry.problem or not entry.reached:
        return ()
    answered = {finding.rule for finding in findings if applies(entry, finding)}
    return tuple(code for code in entry.rules if code in judged and code not in answered)


def _concerns(entry: Acknowledgement, parameters: Sequence[ParameterInfo]) -> bool:
    """Whether the run has parameters that it is about: a project's list is about all of its programs."""
    return not entry.parameters or any(_named(entry, [info.name]) for info in parameters)
