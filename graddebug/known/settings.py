"""The configuration of a program that has not begun yet.

Judging it needs the rules, and those load numpy, which a program may want to load itself, with variables of
its own set: before it begins, only another process looks at it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from graddebug.errors import UsageError
from graddebug.known.configuration import project_table

if TYPE_CHECKING:
    from graddebug.known.configuration import Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Folders to look upwards from for the project's file, and what the command line adds to it."""

    starts: tuple[str, ...]
    ignore: tuple[str, ...] = ()
    option: tuple[str, ...] = ()

    def check(self) -> None:
        """`UsageError` where `configuration` would raise it; loads no rule."""
        if not self.ignore and not self.option and project_table(*self.starts) is None:
            return
        told = subprocess.run(
            [sys.executable, "-m", "graddebug.known.settings", json.dumps(asdict(self))],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        if told:
            raise UsageError(told)

    def configuration(self) -> Configuration:
        """All of it, checked; `UsageError` for what makes no sense."""
        from graddebug.known.configuration import of_flags, of_project

        return of_flags(self.ignore, self.option).over(of_project(*self.starts))


def _main() -> None:
    """What is wrong with the settings in the first argument, on standard output; nothing if nothing is."""
    try:
        Settings(**{key: tuple(value) for key, value in json.loads(sys.argv[1]).items()}).configuration()
    except UsageError as error:
        print(error)


if __name__ == "__main__":
    _main()
