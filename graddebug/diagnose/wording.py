"""How findings speak: names, numbers and source lines in a sentence."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Sequence
from pathlib import PurePath

from graddebug.records import GradientsCleared, Site


def names(items: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``; from four on ``a, b and 2 more``."""
    if len(items) > 3:
        return f"{items[0]}, {items[1]} and {len(items) - 2} more"
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1] if items else "")))


def times(count: int, noun: str) -> str:
    """``1 step``, ``2 steps``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def number(value: float) -> str:
    """A measured number: ``65,536``, ``0.25``, ``1.53e-05``."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


def literal(value: float) -> str:
    """A number as Python spells it in code: ``65536``, ``0.5``."""
    return str(int(value)) if value == int(value) else repr(value)


def place(site: Site | None) -> str:
    """``train.py:41``."""
    return f"{PurePath(site.file).name}:{site.line}" if site else "a line that could not be seen"


def quoted(site: Site | None, otherwise: str) -> str:
    """The user's own line and its place: ```loss.backward()` (train.py:41)``.

    Where a library made the call, its place: around the user's ``trainer.fit(...)`` nothing can be mended.
    """
    if site is None:
        return f"`{otherwise}`"
    if site.library:
        return f"`{otherwise}` ({site.library})"
    code = without_comment(site.source)
    return f"`{code if code and len(code) <= 60 else otherwise}` ({place(site)})"


def the_clear(event: GradientsCleared) -> str:
    """What cleared: the user's call, or where a clear by hand (``p.grad = None``) was noticed."""
    if event.site is None and event.noticed_at is not None:
        return f"the clear in front of {quoted(event.noticed_at, event.how)}"
    return quoted(event.site, event.how)


def that_clear(event: GradientsCleared) -> str:
    """The same for a second mention."""
    return "that clear" if event.site is None else quoted(event.site, event.how)


def sentence(text: str) -> str:
    """The text as the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def without_comment(line: str) -> str:
    """A line of source without the comment at its end."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(line).readline))
    except (tokenize.TokenError, SyntaxError):  # part of a statement of several lines
        return line
    comments = [token.start[1] for token in tokens if token.type == tokenize.COMMENT]
    return line[: comments[0]].rstrip() if comments else line


def size(count: int) -> str:
    """Bytes for people: ``1.5 MiB``."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
