"""Which words of a command line are ours, and which the program's."""

from __future__ import annotations

import pytest

from graddebug.commands.run import program_of, split
from graddebug.errors import UsageError
from graddebug.program import Program


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("train.py --out x", ""),
        ("-o out train.py -o theirs", "-o out"),
        ("--quiet --out=out train.py", "--quiet --out=out"),
        ("--fail-on error -m pkg.mod --quiet", "--fail-on error"),
        ("-o out -mpkg.mod", "-o out"),
        ("-o out -- --odd-name.py", "-o out"),
        (
            "--ignore GD101 --option GD204.windows=3 train.py --ignore x",
            "--ignore GD101 --option GD204.windows=3",
        ),
        ("--quiet", "--quiet"),
        ("", ""),
    ],
)
def test_ours_end_where_the_program_begins(line: str, ours: str) -> None:
    """Options stop at the script, at -m, or at --; what follows is not looked at."""
    words = line.split()
    assert split(words) == (ours.split(), words[len(ours.split()) :])


@pytest.mark.parametrize(
    ("line", "program"),
    [
        ("train.py -m x", Program(name="train.py", arguments=("-m", "x"))),
        ("-m pkg.mod -o x", Program(name="pkg.mod", arguments=("-o", "x"), is_module=True)),
        ("-mpkg.mod x", Program(name="pkg.mod", arguments=("x",), is_module=True)),
        ("-- train.py --", Program(name="train.py", arguments=("--",))),
    ],
)
def test_programs_are_named_as_for_python(line: str, program: Program) -> None:
    """A file or -m, joined or apart."""
    assert program_of(line.split()) == program


@pytest.mark.parametrize("words", [[], ["-m"], ["--"]])
def test_nothing_to_run_is_a_usage_error(words: list[str]) -> None:
    """A missing program is told with both ways to name one."""
    with pytest.raises(UsageError, match="nothing to run"):
        program_of(words)
