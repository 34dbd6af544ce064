"""``graddebug-tui``: picks the recording, the face, and the exit code."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graddebug.errors import GraddebugError, TraceError, UsageError

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording

EXIT_USAGE = 2
EXIT_UNREADABLE = 3
_CLOSED_PIPE = 141  # what a shell reports for a program that SIGPIPE ended
_SCREENS = ("findings", "parameters", "life", "graph", "precision")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0, 2 for wrong usage, 3 for an unreadable recording."""
    options = _parser().parse_args(argv)
    try:
        return _replay(options)
    except TraceError as error:
        return _refuse(error, EXIT_UNREADABLE)
    except UsageError as error:
        return _refuse(error, EXIT_USAGE)
    except BrokenPipeError:  # `graddebug-tui replay RUN | head`: who read us has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED_PIPE


def _refuse(error: GraddebugError, code: int) -> int:
    print(f"graddebug-tui: {error}", file=sys.stderr)
    return code


def _replay(options: argparse.Namespace) -> int:
    from graddebug.trace.reader import Recording

    recording = Recording.open(options.run)
    if options.screenshot:
        return _screenshot(recording, options)
    if not (sys.stdout.isatty() and sys.stdin.isatty()) or os.environ.get("TERM") == "dumb":
        return _print_twin(recording, options.step)
    _app(recording, options).run()
    return 0


def _print_twin(recording: Recording, step: int | None) -> int:
    from graddebug.report.show import render_show
    from graddebug.report.terminal import emit

    width = shutil.get_terminal_size((100, 24)).columns
    emit(render_show(recording, step=step, parameter=None, width=width))
    return 0


def _app(recording: Recording, options: argparse.Namespace):  # type: ignore[no-untyped-def]
    try:
        from graddebug_tui.app import GraddebugApp
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the terminal UI needs {error.name}, which is not installed: pip install 'graddebug[tui]'"
        ) from error
    return GraddebugApp(recording, first=options.screen, step=options.step)


def _screenshot(recording: Recording, options: argparse.Namespace) -> int:
    from graddebug_tui.screenshot import take

    take(_app(recording, options), size=options.size, file=options.screenshot)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="graddebug-tui", description="Look at a recording in the terminal.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    replay = commands.add_parser("replay", help="look at a recording, step by step")
    replay.add_argument("run", metavar="RUN", type=Path, help="the folder that graddebug recorded into")
    replay.add_argument("--step", type=int, metavar="N", help="begin at this step")
    replay.add_argument("--screen", choices=_SCREENS, default="findings", help="begin with this screen")
    replay.add_argument("--screenshot", type=Path, metavar="FILE.svg", help="write a picture and exit")
    replay.add_argument("--size", type=_size, default=(120, 36), metavar="120x36", help="the picture's cells")
    return parser


def _size(text: str) -> tuple[int, int]:
    columns, _, rows = text.partition("x")
    if not (columns.isdigit() and rows.isdigit() and int(columns) >= 40 and int(rows) >= 12):
        raise argparse.ArgumentTypeError(f"expected COLUMNSxROWS of at least 40x12, got {text!r}")
    return int(columns), int(rows)


if __name__ == "__main__":
    sys.exit(main())
