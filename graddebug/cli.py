"""The `graddebug` command: parses, calls one command, prints errors, picks the exit code.

Exit codes are public: 0 fine, 1 findings at or above ``--fail-on``, 2 usage, 3 unreadable
recording, 130 interrupted. `graddebug` alone is a usage error: in a script it is a lost argument.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from types import TracebackType

from graddebug import __version__
from graddebug.commands import check, doctor, rules, run, show
from graddebug.commands.command import Command, Exit
from graddebug.errors import GraddebugError, TraceError

COMMANDS: dict[str, Command] = {
    module.COMMAND.name: module.COMMAND for module in (run, check, show, rules, doctor)
}
_CLOSED_PIPE = 141  # what a shell reports for a program that SIGPIPE ended


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Raises `SystemExit` for ``--help``, ``--version`` and bad options, as argparse does, and
    `KeyboardInterrupt` after Ctrl-C, so that Python ends the process the way shells expect (130).
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(words)
    except TraceError as error:
        return _fail(error, Exit.UNREADABLE)
    except GraddebugError as error:
        return _fail(error, Exit.USAGE)
    except BrokenPipeError:  # `graddebug check RUN | head`: who read us has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED_PIPE
    except KeyboardInterrupt:
        sys.excepthook = _say_nothing
        raise


def _dispatch(words: list[str]) -> int:
    parser = build_parser()
    if not words:
        parser.print_help(sys.stderr)
        return Exit.USAGE
    command = COMMANDS.get(words[0])
    program: list[str] = []
    if command is not None and command.runs_program:
        ours, program = run.split(words[1:], command.options)
        words = [command.name, *ours]
    arguments = parser.parse_args(words)
    arguments.program = program
    return int(COMMANDS[arguments.command].run(arguments))


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands, built from their tables."""
    parser = argparse.ArgumentParser(
        prog="graddebug",
        description="See a PyTorch training step from inside, and the line that breaks it.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"graddebug {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for command in COMMANDS.values():
        _add(commands, command)
    return parser


def _add(commands: argparse._SubParsersAction[argparse.ArgumentParser], command: Command) -> None:
    parser = commands.add_parser(
        command.name,
        help=command.summary,
        description=f"{command.summary[0].upper()}{command.summary[1:]}. {command.details}".strip(),
        usage=command.usage,
        allow_abbrev=False,
    )
    for option in command.options:
        parser.add_argument(*option.flags, **option.settings)


def _fail(error: GraddebugError, code: Exit) -> int:
    from graddebug.report.terminal import emit
    from graddebug.views.printable import printable

    emit(f"graddebug: {printable(str(error))}", sys.stderr)
    return code


def _say_nothing(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An excepthook for the interrupt that ends us: the program's traceback has been printed already."""
