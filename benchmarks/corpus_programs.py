"""The programs of tests/corpus, what their headers promise, and whether graddebug keeps the promise.

A buggy program's docstring begins with the rules that are found in it (all above notes; the first
is looked at in detail); ``Parameters:`` names those of the first finding, ``Raises:`` the error of
torch's that ends the program, and a comment ``# role`` at the end of a line says that the finding has this
role there.
`tests/corpus/README.md` tells it whole.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from forked import ROOT, Finished, Forked

from graddebug.errors import TraceError
from graddebug.records import Finding, Severity
from graddebug.report.json import finding_json, plain
from graddebug.report.weigh import by_weight
from graddebug.trace import Recording

CORPUS = ROOT / "tests" / "corpus"
_RECORDING = "recording"

#: A finding as the JSON of a check has it.
Shown = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the corpus and the promise of its header."""

    path: Path
    header: str

    @property
    def name(self) -> str:
        """Its name, which its twin has too."""
        return self.path.stem

    @property
    def buggy(self) -> bool:
        """Whether something is to be found."""
        return self.path.parent.name == "buggy"

    @property
    def twin(self) -> Path:
        """The program of the same name in the other folder."""
        return self.path.parent.parent / ("correct" if self.buggy else "buggy") / self.path.name

    @property
    def codes(self) -> tuple[str, ...]:
        """The rules that the first line names."""
        return tuple(re.findall(r"GD\d{3}", self.header.partition("\n")[0].partition(":")[0]))

    def field(self, name: str) -> str | None:
        """What stands behind ``Name:`` at a line's beginning, up to the next empty line."""
        found = re.search(
            rf"^{name}: (.+?)(?=\n\s*\n|\n\w[\w ]*: |\Z)", self.header, re.MULTILINE | re.DOTALL
        )
        return " ".join(found.group(1).split()) if found else None

    @property
    def parameters(self) -> tuple[str, ...] | None:
        """Patterns of the parameters that the first finding names; None where the header names none."""
        names = self.field("Parameters")
        return None if names is None else tuple(re.split(r",\s*", names))

    @property
    def patterns(self) -> tuple[str, ...]:
        """The known-correct patterns that the program shows."""
        names = self.field("Pattern")
        return () if names is None else tuple(names.split("; "))

    @property
    def marked(self) -> dict[str, int]:
        """Line numbers by the role that a comment at the line's end names."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        marks = [(re.search(r"  # (\w+)$", line), number) for number, line in enumerate(lines, start=1)]
        return {mark.group(1): number for mark, number in marks if mark}


def programs(folder: str) -> list[Program]:
    """The programs of ``"buggy"`` or ``"correct"``, by name."""
    return [read(path) for path in sorted((CORPUS / folder).glob("*.py"))]


def read(path: Path) -> Program:
    """A program with its module's docstring."""
    return Program(path, ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run of a program printed, and what is found in its recording."""

    ran: Finished
    live: tuple[Shown, ...]
    checked: tuple[Shown, ...]

    @property
    def alarms(self) -> tuple[Shown, ...]:
        """Errors and warnings."""
        return tuple(found for found in self.checked if found["severity"] != Severity.NOTE.word)


def ask(program: Path, *, folder: Path, forked: Forked) -> Answer:
    """Run a program under `graddebug run`, then `graddebug check` its recording, both in ``folder``.

    `AssertionError` where there is no readable recording, with what was printed.
    """
    answer = run_only(program, folder=folder, forked=forked)
    checked = forked.graddebug("check", "--format", "json", folder / _RECORDING, cwd=folder)
    assert checked.code in (0, 1), f"{answer.ran.stderr}\n{checked.stderr}"
    found = json.loads(checked.stdout)["findings"]
    for one in found:
        one.pop("page", None)  # where to read on: the reader's, not the recording's
    return Answer(answer.ran, answer.live, tuple(found))


def run_only(program: Path, *, folder: Path, forked: Forked) -> Answer:
    """The same without the check: what it would say is taken to be what the run said."""
    recording = folder / _RECORDING
    ran = forked.graddebug("run", "-o", recording, program, cwd=folder)
    try:
        findings = Recording.open(recording).findings
    except TraceError as error:
        raise AssertionError(f"{error}\n{ran.stderr}") from None
    live = tuple(_as_json(finding) for finding in by_weight(findings))
    return Answer(ran, live, live)


def _as_json(finding: Finding) -> Shown:
    shown: Shown = json.loads(json.dumps(plain(finding_json(finding))))
    return shown


def faults(program: Program, answer: Answer) -> list[str]:
    """What is not as the program's header says, a line each; none: all is well."""
    return [
        *_of_the_run(program, answer),
        *(_missed(program, answer) if program.buggy else ()),
        *_alarms(program, answer),
    ]


def _of_the_run(program: Program, answer: Answer) -> Iterator[str]:
    raises = program.field("Raises")
    told = raises is None or f"\n{raises}: " in answer.ran.stderr
    if answer.ran.code != int(raises is not None) or not told:
        yield f"exit code {answer.ran.code}, {raises or 'nothing'} is to be raised: {answer.ran.stderr}"
    live, checked = (sorted(found, key=lambda one: one["id"]) for found in (answer.live, answer.checked))
    if live != checked:
        yield f"live: {live}\nbut checked: {checked}"


def _missed(program: Program, answer: Answer) -> Iterator[str]:
    found = [one for one in answer.checked if one["rule"] == program.codes[0]]
    if len(found) != 1:
        yield f"{program.codes[0]} is found {len(found)} times"
        return
    (finding,) = found
    lines = {(site["role"], site["line"]) for site in finding["sites"]}
    if not lines >= set(program.marked.items()):
        yield f"marked are {program.marked}, found {sorted(lines)}"
    if any(site["file"] != str(program.path) for site in finding["sites"]):
        yield f"a role lies outside of the program: {finding['sites']}"
    if program.parameters is not None and not _same_names(finding["parameters"], program.parameters):
        yield f"parameters are {finding['parameters']}, expected {program.parameters}"


def _same_names(names: Sequence[str], patterns: Sequence[str]) -> bool:
    every = all(any(_fits(name, pattern) for pattern in patterns) for name in names)
    return every and all(any(_fits(name, pattern) for name in names) for pattern in patterns)


def _fits(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)  # a name may hold brackets


def _alarms(program: Program, answer: Answer) -> Iterator[str]:
    for one in answer.alarms:
        if one["rule"] not in program.codes:
            yield f"false {one['severity']} {one['rule']}: {one['message']} {one['sites']}"
    for code in program.codes[1:]:
        if code not in {one["rule"] for one in answer.checked}:
            yield f"{code} is not found"
