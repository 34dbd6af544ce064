"""`graddebug show`: what a recording holds, as text: the twin of the terminal UI."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from graddebug.commands.command import Command, Exit, option

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording

#: What can be shown in place of the overview.
VIEWS = ("precision",)


def run(arguments: argparse.Namespace) -> int:
    """Print the overview, a step, or the parameters a glob names."""
    from graddebug.commands.recording import open_recording
    from graddebug.report.json import dumps
    from graddebug.report.show import render_show, show_json
    from graddebug.report.terminal import emit, terminal_width

    recording = open_recording(arguments.run_folder)
    if arguments.view == "precision":
        return _show_precision(recording, arguments)
    chosen = {"step": arguments.step, "parameter": arguments.parameter}
    if arguments.format == "json":
        emit(dumps(show_json(recording, **chosen)))
    else:
        emit(render_show(recording, width=terminal_width(), **chosen))
    return Exit.FINE


def _show_precision(recording: Recording, arguments: argparse.Namespace) -> int:
    from graddebug.errors import UsageError
    from graddebug.report.json import dumps
    from graddebug.report.show_precision import precision_json, render_precision
    from graddebug.report.terminal import emit, terminal_width

    if arguments.parameter is not None:
        raise UsageError("--parameter does not go with the precision view: it tells of modules and ops.")
    if arguments.format == "json":
        emit(dumps(precision_json(recording, step=arguments.step)))
    else:
        emit(render_precision(recording, step=arguments.step, width=terminal_width()))
    return Exit.FINE


COMMAND = Command(
    name="show",
    summary="show a recording as text",
    options=(
        option("run_folder", metavar="RUN", help="the recording's folder"),
        option(
            "view",
            nargs="?",
            choices=VIEWS,
            metavar="precision",
            help="mixed precision instead: loss scale, headroom of modules, ops by dtype",
        ),
        option("--step", type=int, metavar="N", help="one step: its life of gradients, parameters and graph"),
        option(
            "--parameter", metavar="GLOB", help="the parameters a pattern names, as in 'encoder.*.weight'"
        ),
        option("--format", choices=("text", "json"), default="text", help="default: text"),
    ),
    run=run,
)
