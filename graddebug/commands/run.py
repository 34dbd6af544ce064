"""`graddebug run`: watch a training program without changing it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from graddebug.commands.command import FAIL_ON, JUDGING, Command, Option, least_severity, option
from graddebug.errors import UsageError
from graddebug.program import Program

OPTIONS = (
    option("-o", "--out", metavar="DIR", help="where to record (default: a new folder under graddebug-runs)"),
    option(
        "--fail-on", choices=FAIL_ON, default="never", help="exit 1 for findings at or above (default: never)"
    ),
    option(
        "--on-finding",
        choices=("warn", "raise", "silent"),
        default="warn",
        help="print a finding when it is found, stop the program there, or only record it (default: warn)",
    ),
    option(
        "--nodes",
        choices=("auto", "always", "off"),
        default="auto",
        help="when to measure every op of the forward and node of the backward, which names the line where a "
        "NaN was born: always, never, or within 5 %% of the time and around trouble (default: auto)",
    ),
    *JUDGING,
    option("--quiet", action="store_true", help="leave out graddebug's own lines"),
)


def run(arguments: argparse.Namespace) -> int:
    """Run the program and pass on its exit code."""
    from graddebug.launch import LaunchOptions, launch

    options = LaunchOptions(
        out=arguments.out,
        fail_on=least_severity(arguments.fail_on),
        on_finding=arguments.on_finding,
        nodes=arguments.nodes,
        quiet=arguments.quiet,
        ignore=tuple(arguments.ignore),
        option=tuple(arguments.option),
    )
    outcome = launch(program_of(arguments.program), options)
    if outcome.interrupted:
        raise KeyboardInterrupt
    return outcome.code


def split(words: Sequence[str], options: Sequence[Option] = OPTIONS) -> tuple[list[str], list[str]]:
    """The command line in two: our own options, and the program with all that follows it.

    The program begins at ``-m``, at ``--``, or at the first word that is neither an option nor an
    option's value.
    """
    valued = {flag for known in options if known.takes_value for flag in known.flags}
    index = 0
    while index < len(words) and _is_ours(words[index]):
        index += 2 if words[index] in valued else 1
    return list(words[:index]), list(words[index:])


def _is_ours(word: str) -> bool:
    return word.startswith("-") and word not in ("-", "--") and not word.startswith("-m")


def program_of(words: Sequence[str]) -> Program:
    """The program that a command line names: ``FILE args…``, ``-m NAME args…`` or ``-mNAME args…``."""
    words = words[1:] if words and words[0] == "--" else words
    if not words or (words[0] == "-m" and len(words) == 1):
        raise UsageError(
            "nothing to run: name a script (graddebug run train.py) or a module (graddebug run -m NAME)"
        )
    if words[0] == "-m":
        return Program(name=words[1], arguments=tuple(words[2:]), is_module=True)
    if words[0].startswith("-m"):
        return Program(name=words[0][2:], arguments=tuple(words[1:]), is_module=True)
    return Program(name=words[0], arguments=tuple(words[1:]))


COMMAND = Command(
    name="run",
    summary="run a training program and watch it",
    usage="graddebug run [-o DIR] [--fail-on SEVERITY] [--on-finding ACTION] [--nodes WHEN]\n"
    "                     [--ignore CODE] [--option CODE.NAME=NUMBER] [--quiet] (FILE | -m NAME) [args ...]",
    details="Everything from FILE or -m on belongs to the program. Its own exit code is passed on.",
    options=OPTIONS,
    run=run,
    runs_program=True,
)
