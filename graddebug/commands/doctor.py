"""`graddebug doctor`: what is installed here, what capture can see, what the terminal can show.

It imports what it asks when it runs: every command's module is loaded by `graddebug run` too, and a
module of the standard library that is loaded there hides one of that name beside the user's script.
"""

from __future__ import annotations

import argparse
import sys

import graddebug
from graddebug.commands.command import Command, Exit

_OLDEST_TORCH = (2, 8)


def run(arguments: argparse.Namespace) -> int:
    """Print one line a fact; exit 0 also when something is missing, for it is said."""
    from graddebug.report.terminal import emit

    rows = [*_versions(), *_capture(), *_terminal()]
    emit("\n".join(f"{name:<10} {value}" for name, value in rows))
    return Exit.FINE


def _versions() -> list[tuple[str, str]]:
    import platform

    return [
        ("graddebug", graddebug.__version__),
        ("python", f"{platform.python_version()} ({platform.system()} {platform.machine()})"),
        ("numpy", version_of("numpy")),
        ("networkx", version_of("networkx")),
        (
            "textual",
            version_of("textual", missing="not installed: pip install 'graddebug[tui]' for graddebug-tui"),
        ),
    ]


def version_of(name: str, *, missing: str = "not installed") -> str:
    """A distribution's version, or ``missing``."""
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return missing


def _capture() -> list[tuple[str, str]]:
    try:
        import torch
    except ImportError as error:
        return [("torch", f"cannot be imported ({error}): recordings can be read here, not made")]
    numbers = tuple(int(part) for part in torch.__version__.split(".")[:2])
    tested = "" if numbers >= _OLDEST_TORCH else ", older than the 2.8 that graddebug is tested with"
    devices = "cuda" if torch.cuda.is_available() else "cpu only"
    return [("torch", f"{torch.__version__} ({devices}{tested})")]


def _terminal() -> list[tuple[str, str]]:
    from graddebug.report.terminal import terminal_width, wants_colour

    kind = "a terminal" if sys.stdout.isatty() else "no terminal"
    colour = "in colour" if wants_colour(sys.stdout) else "without colour"
    return [("output", f"{kind}, {colour}, {terminal_width()} columns, {sys.stdout.encoding}")]


COMMAND = Command(name="doctor", summary="say what is installed and what can be seen here", run=run)
