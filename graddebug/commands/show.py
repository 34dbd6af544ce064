"""`graddebug show`: what a recording holds, as text: the twin of the terminal UI."""

from __future__ import annotations

import argparse

from graddebug.commands.command import Command, Exit, option


def run(arguments: argparse.Namespace) -> int:
    """Print the overview, a step, or the parameters a glob names."""
    from graddebug.commands.recording import open_recording
    from graddebug.report.json import dumps
    from graddebug.report.show import render_show, show_json
    from graddebug.report.terminal import emit, terminal_width

    recording = open_recording(arguments.run_folder)
    chosen = {"step": arguments.step, "parameter": arguments.parameter}
    if arguments.format == "json":
        emit(dumps(show_json(recording, **chosen)))
    else:
        emit(render_show(recording, width=terminal_width(), **chosen))
    return Exit.FINE


COMMAND = Command(
    name="show",
    summary="show a recording as text",
    options=(
        option("run_folder", metavar="RUN", help="the recording's folder"),
        option("--step", type=int, metavar="N", help="one step: its life of gradients, parameters and graph"),
        option(
            "--parameter", metavar="GLOB", help="the parameters a pattern names, as in 'encoder.*.weight'"
        ),
        option("--format", choices=("text", "json"), default="text", help="default: text"),
    ),
    run=run,
)
