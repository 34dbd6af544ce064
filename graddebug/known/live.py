"""What is acknowledged while a program runs: comments are read when there is a finding, and at the end."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import cached_property

from graddebug.diagnose.acknowledge import Acknowledged, holds
from graddebug.diagnose.registry import all_rules
from graddebug.diagnose.rule import Rule
from graddebug.known.comments import acknowledgements_in
from graddebug.records import Acknowledgement, Finding

#: A line of a file.
Place = tuple[str, int]


class LiveAcknowledged(Acknowledged):
    """Acknowledgements that are known from the start, and those in the files where findings lie.

    ``learned`` is told of each entry that was not known from the start, and again when it is `reached`.
    """

    def __init__(
        self, entries: Iterable[Acknowledgement], learned: Callable[[Acknowledgement], None]
    ) -> None:
        super().__init__(entries)
        self._learned = learned
        self._read: set[str] = set()

    def look_at(self, finding: Finding) -> None:
        """Read the comments of the files that the finding lies in."""
        for role in finding.roles:
            self._learn(role.site.file)

    def _learn(self, file: str) -> None:
        if file in self._read:
            return
        self._read.add(file)
        for entry in acknowledgements_in(linecache.getlines(file), file=file, rules=self._rules):
            self.entries.append(entry)
            self._learned(entry)

    @cached_property
    def _rules(self) -> Mapping[str, type[Rule]]:
        return all_rules()

    def program_came_by(self, places: Collection[Place]) -> None:
        """Before the end: read the other files, and mark what the program has come by."""
        for file in sorted({file for file, _ in places}):
            self._learn(file)
        for index, entry in enumerate(self.entries):
            if not entry.reached and any(holds(entry, *place) for place in places):
                self.entries[index] = replace(entry, reached=True)
                self._learned(self.entries[index])
