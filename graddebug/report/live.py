"""Printing a finding the moment it is found, in the middle of somebody else's program."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from graddebug.records import Finding
from graddebug.report.terminal import emit, encodable, encoding_of, terminal_width, wants_colour
from graddebug.report.text import render_live


class LivePrinter:
    """Prints findings to standard error, above the user's tqdm bars where there are some.

    Looks `sys.stderr` up at each call, so that a redirected stream is followed. Never raises.
    """

    def __call__(self, finding: Finding) -> None:
        """Print one finding in a few lines."""
        _safely(lambda: render_live(finding, colour=wants_colour(sys.stderr), width=terminal_width()))

    def say(self, text: str) -> None:
        """Print a line of graddebug's own."""
        _safely(lambda: text)


def _safely(render: Callable[[], str]) -> None:
    # The border to the user's training: a stream they closed or replaced, or a tqdm of theirs
    # that fails, must not end their run. The finding is in the record all the same.
    try:
        _print(render())
    except Exception:
        return


def _print(text: str) -> None:
    bar = live_bar()
    if bar is None:
        emit(text, sys.stderr)
    else:
        bar.write(encodable(text, encoding_of(sys.stderr)), file=sys.stderr)


def live_bar() -> Any | None:
    """The ``tqdm`` class when the program has imported it and has bars on screen, else None.

    Reads ``tqdm._instances``, the set of open bars, which tqdm 4 keeps for its own `write`.
    """
    bar = getattr(sys.modules.get("tqdm"), "tqdm", None)
    return bar if bar is not None and len(getattr(bar, "_instances", ())) else None
