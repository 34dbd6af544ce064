"""What a command is: a name, a table of options, and a function from them to an exit code."""

from __future__ import annotations

import argparse
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graddebug.records import Severity


class Exit(enum.IntEnum):
    """The exit codes; they are public and do not change."""

    FINE = 0
    FINDINGS = 1
    USAGE = 2
    UNREADABLE = 3
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Option:
    """One argument: its flags (or the name of a positional) and what `add_argument` takes besides."""

    flags: tuple[str, ...]
    settings: Mapping[str, Any]

    @property
    def takes_value(self) -> bool:
        """Whether the next word on the command line belongs to it."""
        return self.settings.get("action", "store") in ("store", "append")


def option(*flags: str, **settings: Any) -> Option:
    """An `Option`, written as `add_argument` is called."""
    return Option(flags, settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of `graddebug`.

    With ``runs_program`` everything from the first word that is no option of ours belongs to
    another program, and arrives in ``program`` of the parsed arguments.
    """

    name: str
    summary: str
    run: Callable[[argparse.Namespace], int]
    options: tuple[Option, ...] = ()
    details: str = ""
    usage: str | None = None
    runs_program: bool = False


#: What ``--fail-on`` takes; ``never`` is None.
FAIL_ON: tuple[str, ...] = ("error", "warning", "note", "never")


#: What is known about findings in advance, for every command that judges.
JUDGING: tuple[Option, ...] = (
    option(
        "--ignore",
        metavar="CODE",
        action="append",
        default=[],
        help="take findings of this rule as known; may be repeated",
    ),
    option(
        "--option",
        metavar="CODE.NAME=NUMBER",
        action="append",
        default=[],
        help="set a threshold that `graddebug rules CODE` lists, as in GD204.windows=40; may be repeated",
    ),
)


def least_severity(word: str) -> Severity | None:
    """The severity that ``--fail-on WORD`` names; None for ``never``."""
    return None if word == "never" else Severity.from_word(word)
