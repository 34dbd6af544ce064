"""The user's source around the lines that matter, as it was when recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath

from graddebug.records import Role, Site
from graddebug.views.printable import printable

#: Lines shown around each marked line.
AROUND = 2


@dataclass(frozen=True, slots=True)
class QuotedLine:
    """A source line; ``roles`` are the parts it plays, empty for a line of context."""

    number: int
    text: str
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quote:
    """Stretches of one file. ``functions`` are those the marked lines lie in.

    ``lines`` holds None where lines between two stretches are left out. ``libraries`` are the
    library frames that made calls on the user's behalf.
    """

    file: str
    functions: tuple[str, ...]
    lines: tuple[QuotedLine | None, ...]
    libraries: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Digits of the largest line number."""
        return max((len(str(line.number)) for line in self.lines if line), default=1)


def place(site: Site) -> str:
    """``train.py:33``: short, for a column."""
    return printable(f"{PurePath(site.file).name}:{site.line}")


def quotes(roles: Iterable[Role], *, around: int = AROUND, beneath: str = "") -> tuple[Quote, ...]:
    """One quote a file, in order of first appearance, with every role at its line.

    A file that lies beneath the folder ``beneath``, where the program ran, is named from there.
    """
    by_file: dict[str, list[Role]] = {}
    for role in roles:
        by_file.setdefault(role.site.file, []).append(role)
    return tuple(_quote(_from(beneath, file), members, around) for file, members in by_file.items())


def _from(folder: str, file: str) -> str:
    path = PurePath(file)
    return str(path.relative_to(folder)) if folder and path.is_relative_to(folder) else file


def _quote(file: str, roles: list[Role], around: int) -> Quote:
    marks: dict[int, list[str]] = {}
    for role in roles:
        words = marks.setdefault(role.site.line, [])
        if role.role not in words:
            words.append(role.role)
    texts = _texts(roles, around)
    numbers = sorted(texts.keys() | marks.keys())
    texts = _dedented(texts)
    lines = (QuotedLine(n, texts.get(n, ""), tuple(map(printable, marks.get(n, ())))) for n in numbers)
    return Quote(
        file=printable(file),
        functions=_distinct(role.site.function for role in roles),
        lines=tuple(_with_gaps(lines)),
        libraries=_distinct(role.site.library for role in roles),
    )


def _texts(roles: list[Role], around: int) -> dict[int, str]:
    texts: dict[int, str] = {}
    for role in roles:
        site = role.site
        for offset, text in enumerate(site.excerpt):
            number = site.excerpt_start + offset
            if abs(number - site.line) <= around:
                texts[number] = printable(text.rstrip())
    return texts


def _dedented(texts: dict[int, str]) -> dict[int, str]:
    """Without the indentation that all lines share: it says nothing, and width is scarce."""
    indents = [len(text) - len(text.lstrip()) for text in texts.values() if text]
    shared = min(indents, default=0)
    return {number: text[shared:] for number, text in texts.items()}


def _with_gaps(lines: Iterable[QuotedLine]) -> Iterator[QuotedLine | None]:
    before: int | None = None
    for line in lines:
        if before is not None and line.number > before + 1:
            yield None
        before = line.number
        yield line


def _distinct(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(printable(word) for word in dict.fromkeys(words) if word)
