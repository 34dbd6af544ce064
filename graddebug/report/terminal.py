"""What a stream can show: its width, its colours, its characters. Nothing here knows findings."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from typing import TextIO

_NARROWEST, _WIDEST = 40, 120
#: Terminals that draw links, by what they say of themselves.
_LINKING = frozenset({"iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper"})
_LINKING_IF_SET = ("VTE_VERSION", "KONSOLE_VERSION", "WT_SESSION", "KITTY_WINDOW_ID")
_CODES = {"red": "31", "yellow": "33", "blue": "34", "green": "32", "bold": "1", "dim": "2"}
#: Our own signs, and what stands for them where an encoding lacks them.
_PLAIN = str.maketrans(
    "✖▲●✔○│…←→⋮·▾▸▶◀—\N{EN DASH}\N{MULTIPLICATION SIGN}▁▂▃▄▅▆▇█", "x!*vo|~<>:.v>><--x_.-:=+*#"
)


def paint(text: str, *styles: str, colour: bool) -> str:
    """The text in the named styles (``red``, ``bold`` …) when ``colour`` is on, else unchanged."""
    if not colour or not styles:
        return text
    return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"


def hyperlink(text: str, address: str, *, on: bool) -> str:
    """The text as a link that a terminal opens (OSC 8) when ``on`` and with an address, else unchanged."""
    if not on or not address or not (address.isascii() and address.isprintable()):
        return text
    return f"\x1b]8;;{address}\x1b\\{text}\x1b]8;;\x1b\\"


def wants_links(stream: TextIO | None, environment: Mapping[str, str] | None = None) -> bool:
    """Whether the stream is a terminal that is known to draw links: others may print their addresses."""
    environment = os.environ if environment is None else environment
    known = environment.get("TERM_PROGRAM") in _LINKING or any(
        environment.get(one) for one in _LINKING_IF_SET
    )
    return known and environment.get("TERM") != "dumb" and not environment.get("CI") and _is_terminal(stream)


def wants_colour(stream: TextIO | None, environment: Mapping[str, str] | None = None) -> bool:
    """Whether to colour: never under NO_COLOR, always under FORCE_COLOR, else on a terminal outside CI."""
    environment = os.environ if environment is None else environment
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    if environment.get("CI") or environment.get("TERM") == "dumb":
        return False
    return _is_terminal(stream)


def _is_terminal(stream: TextIO | None) -> bool:
    # Programs put objects of their own in place of sys.stderr, often with no more than write and flush.
    try:
        return stream is not None and not stream.closed and stream.isatty()
    except AttributeError:
        return False


def terminal_width() -> int:
    """Columns to fill: COLUMNS, else the terminal's, else 88; kept between 40 and 120."""
    columns = shutil.get_terminal_size(fallback=(88, 24)).columns
    return max(_NARROWEST, min(_WIDEST, columns))


def emit(text: str, stream: TextIO | None = None) -> None:
    """Write a text and a newline; signs that the stream's encoding lacks are replaced, never an error.

    Raises `OSError` when the stream cannot be written (a closed pipe, a full disk).
    """
    stream = sys.stdout if stream is None else stream
    if stream is None:  # pythonw and daemons have no streams
        return
    stream.write(encodable(text, encoding_of(stream)) + "\n")
    if hasattr(stream, "flush"):
        stream.flush()


def encoding_of(stream: TextIO | None) -> str:
    """A stream's encoding; UTF-8 where an object of the program's own stands in its place and tells none."""
    return getattr(stream, "encoding", None) or "utf-8"


def encodable(text: str, encoding: str) -> str:
    """The text with what ``encoding`` lacks written in ASCII: our own signs by a like one, others escaped."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return text
