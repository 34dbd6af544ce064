"""What `torch.autograd.detect_anomaly` and graddebug each say about a program, and whether it is right.

Right is: the op at which the number was born, at its line. Where no op is to blame (data, weights), right is
to say so, at the line where it came in; where nothing is bad in the end, right is to be silent.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

import torch
from nonfinite_programs import Program

import graddebug
from graddebug import Finding

#: The rules that tell of NaN and inf, as graddebug numbers them.
NUMBERS = ("GD501", "GD502", "GD503", "GD505", "GD506", "GD512")

#: A traceback's entry, as the warning of anomaly mode prints it.
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_FUNCTION = re.compile(r"Function '(\w+)'")


@dataclass(frozen=True)
class Answer:
    """What a tool said: the op, the line (0 for none), more words, and whether it is right."""

    op: str = ""
    line: int = 0
    words: str = ""
    right: bool = False


def of_anomaly_mode(program: Program) -> Answer:
    """Run the program under ``detect_anomaly``: the op of its error, the innermost line of its warning."""
    trial = program.start()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with torch.autograd.set_detect_anomaly(True):
            try:
                for number in range(program.steps):
                    trial.step(number)
            except RuntimeError as error:
                named = _FUNCTION.search(str(error))
            else:
                return Answer(right=program.born == "nowhere")
    op = named.group(1) if named else ""
    frames = [frame for warning in caught for frame in _FRAME.findall(str(warning.message))]
    line = _innermost(frames, program.file)
    blames_an_op = program.born in ("backward", "forward")
    return Answer(op, line, right=blames_an_op and (op, line) == (program.op, program.line))


def _innermost(frames: list[tuple[str, str]], file: str) -> int:
    """The last line in the program's file, else in any of the programs' files; 0 if there is none."""
    folder = file.rpartition("/")[0]
    lines = [int(line) for name, line in frames if name.startswith(folder)]
    return lines[-1] if lines else 0


def of_graddebug(program: Program) -> Answer:
    """Run the program under a watch that measures every node: its first finding about numbers."""
    trial = program.start()
    with graddebug.watch(nodes="always", on_finding="silent") as run:
        for number in range(program.steps):
            trial.step(number)
    found = [finding for finding in run.findings if finding.rule in NUMBERS]
    if not found:
        return Answer(right=program.born == "nowhere")
    fitting = [finding for finding in found if finding.rule in program.rules]
    return _answer(program, (fitting or found)[0])


def _answer(program: Program, finding: Finding) -> Answer:
    op = str(finding.evidence.get("op", ""))
    site = finding.roles[-1].site if finding.roles else None
    placed = site is not None and (site.file, site.line) == (program.file, program.line)
    named = op in ("", program.op)
    words = ", ".join(str(word) for word in (finding.rule, finding.evidence.get("cause")) if word)
    right = finding.rule in program.rules and placed and named
    return Answer(op, site.line if site else 0, words, right)
