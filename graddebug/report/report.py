"""What `graddebug check` has to say, before a format gives it a shape."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from graddebug.diagnose.evidence import Judgement
from graddebug.records import Finding, NotObservable, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A recording's findings, and what stands behind them.

    ``run`` describes the recording, ``folders`` are those that paths are told from: the working directory,
    and the one where the program ran. ``least`` is the severity from which a finding fails (None: none does).
    ``pages`` maps a rule's code to the address of its page, where it has one.
    """

    run: Mapping[str, object]
    steps: int
    findings: tuple[Finding, ...] = ()
    not_observable: tuple[NotObservable, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    folders: tuple[str, ...] = ()
    least: Severity | None = Severity.WARNING
    pages: Mapping[str, str]

    def path(self, file: str) -> str:
        """A file's path with slashes, relative to the first of ``folders`` that it lies in, else as it is."""
        for folder in self.folders:
            if folder and os.path.isabs(file) and PurePath(file).is_relative_to(folder):
                return PurePath(file).relative_to(folder).as_posix()
        return PurePath(file).as_posix()

    def fails(self, finding: Finding) -> bool:
        """Whether a finding is one that `graddebug check` ends with 1 for."""
        return finding.acknowledged is None and self.least is not None and finding.severity >= self.least


def is_file(path: str) -> bool:
    """Whether a site's file is one: ``<stdin>`` and cells of notebooks are none."""
    return bool(path) and not path.startswith("<")
