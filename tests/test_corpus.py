"""Training programs as people write them: what is wrong is found at its lines, what is right stays silent."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import graddebug
from graddebug import Finding, Severity
from graddebug.capture import underscored
from tests.older_torch import PROGRAMS_THAT_NEED_SAVED

PROGRAMS = Path(__file__).parent / "corpus"
BUGGY = sorted((PROGRAMS / "buggy").glob("*.py"))
CORRECT = sorted((PROGRAMS / "correct").glob("*.py"))


@pytest.fixture(autouse=True)
def _one_thread_and_its_own_random_state() -> Iterator[None]:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


def findings_in(program: Path) -> list[Finding]:
    """What a watch of everything finds while the program runs."""
    with graddebug.watch(on_finding="silent") as run:
        runpy.run_path(str(program), run_name="__main__")
    return run.findings


def expected_codes(program: Path) -> list[str]:
    """The rules that the program's first line names; its marks are the lines of the first."""
    first_line = program.read_text(encoding="utf-8").partition("\n")[0]
    return re.findall(r"GD\d{3}", first_line.partition(":")[0])


def marked_lines(program: Path) -> dict[str, int]:
    """Line numbers by the role that a comment at the line's end names."""
    lines = program.read_text(encoding="utf-8").splitlines()
    marks = [(re.search(r"  # (\w+)$", line), number) for number, line in enumerate(lines, start=1)]
    return {mark.group(1): number for mark, number in marks if mark}


@pytest.mark.parametrize("program", BUGGY, ids=lambda path: path.stem)
def test_the_bug_is_found_at_its_lines(program: Path) -> None:
    """The named rules, the first of them at the lines the program marks, and no other alarm."""
    if program.stem in PROGRAMS_THAT_NEED_SAVED and not underscored.SAVED_READABLE:
        pytest.skip("this torch does not show what nodes save")
    codes, found = expected_codes(program), findings_in(program)
    (finding,) = [one for one in found if one.rule == codes[0]]
    lines = {role.role: role.site.line for role in finding.roles}
    assert lines.items() >= marked_lines(program).items()
    assert all(role.site.file == str(program) for role in finding.roles)
    alarms = {one.rule for one in found if one.severity > Severity.NOTE}
    assert alarms | {finding.rule} == set(codes)


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")  # torch 2.8's own LBFGS
@pytest.mark.parametrize("program", CORRECT, ids=lambda path: path.stem)
def test_a_correct_program_raises_no_alarm(program: Path) -> None:
    """Neither errors nor warnings."""
    alarms = [one for one in findings_in(program) if one.severity > Severity.NOTE]
    assert [f"{one.rule}: {one.message}" for one in alarms] == []
