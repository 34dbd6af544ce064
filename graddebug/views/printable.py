"""Text that is safe to send to a terminal, and its width there.

Names, paths and source lines come from the user's program: they may hold control characters, which
are shown and never sent.
"""

from __future__ import annotations

import unicodedata

#: Categories that act on a terminal instead of showing: controls, formats (bidi overrides, zero
#: width joiners), surrogates, line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_DELETE = 0x7F


def printable(text: str) -> str:
    r"""``text`` with every control character shown: ``␛`` for escape, ``\u202e`` for a bidi override.

    A tab becomes four spaces, so that source lines keep their shape.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character == "\t":
        return "    "
    if unicodedata.category(character) not in _UNSAFE:
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == _DELETE:
        return "\u2421"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"


def cells(text: str) -> int:
    """How many terminal columns ``text`` takes (wide East Asian characters take two)."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fit(text: str, width: int) -> str:
    """``text`` cut to ``width`` columns, with an ellipsis where the end is missing."""
    if cells(text) <= width:
        return text
    return _head(text, width - 1) + "…" if width > 0 else ""


def fit_end(text: str, width: int) -> str:
    """``text`` cut to ``width`` columns, with an ellipsis where the beginning is missing."""
    if cells(text) <= width:
        return text
    return "…" + _head(text[::-1], width - 1)[::-1] if width > 0 else ""


def fit_middle(text: str, width: int) -> str:
    """``text`` cut in its middle: both ends of a module path say which one it is."""
    if cells(text) <= width or width < 5:
        return fit(text, width)
    head = (width - 1) // 3
    return _head(text, head) + "…" + _head(text[::-1], width - 1 - head)[::-1]


def _head(text: str, width: int) -> str:
    taken = 0
    for place, character in enumerate(text):
        taken += _cells(character)
        if taken > width:
            return text[:place]
    return text


def pad(text: str, width: int, *, right: bool = False) -> str:
    """``text`` cut or filled to exactly ``width`` columns, flush right on demand."""
    text = fit(text, width)
    blank = " " * (width - cells(text))
    return blank + text if right else text + blank
