"""Comments in the user's source: ``# graddebug: ignore[GD101] reason``.

A comment is about the statement it stands in, whatever lines that spans; on a line of its own, about the
statement that follows.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from graddebug.diagnose.naming import code_of
from graddebug.diagnose.rule import Rule
from graddebug.errors import UsageError
from graddebug.records import Acknowledgement, Site

#: What is meant as one of our comments, however it is written.
_MEANT = re.compile(r"#+\s*(graddebug\s*(?::\s*ignore\b|ignore\s*(?=\[)))(.*?)(?=\s#\s|$)", re.IGNORECASE)
_RIGHT = re.compile(r"graddebug\s*:\s*ignore")
_CODES = re.compile(r"\s*\[([^\]]*)\](.*)")
_LAYOUT = (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER)
_HOW = "write `# graddebug: ignore[CODE] reason`"


@dataclass(slots=True)
class _Statement:
    """Comments of a statement, by line, and the lines it spans so far (0: it has not begun)."""

    first: int = 0
    last: int = 0
    comments: dict[int, str] = field(default_factory=dict)


def acknowledgements_in(
    lines: Sequence[str], *, file: str, rules: Mapping[str, type[Rule]]
) -> list[Acknowledgement]:
    """All acknowledgements of a source file, also those that cannot be honoured; no file is too odd."""
    if not any("graddebug" in line.lower() for line in lines):
        return []
    found = []
    for statement in _statements(lines):
        for line, comment in statement.comments.items():
            site = Site(file, line, "", excerpt=(lines[line - 1].rstrip("\n"),), excerpt_start=line)
            about = (statement.first, statement.last)
            found += [_acknowledgement(comment, site=site, about=about, rules=rules)]
            found += _problems(comment, site=site, rules=rules)
    return [entry for entry in found if entry.rules or entry.problem]


def _statements(lines: Sequence[str]) -> Iterator[_Statement]:
    """The statements that have comments of ours; as far as the source can be read as Python."""
    statement = _Statement()
    try:
        for token in tokenize.generate_tokens(io.StringIO("".join(lines)).readline):
            if token.type == tokenize.COMMENT:
                if _MEANT.search(token.string):
                    statement.comments[token.start[0]] = token.string
            elif token.type == tokenize.NEWLINE:
                if statement.comments:
                    yield statement
                statement = _Statement()
            elif token.type not in _LAYOUT:
                statement.first = statement.first or token.start[0]
                statement.last = token.end[0]
    except (tokenize.TokenError, SyntaxError):  # a notebook's magic, a file that changed meanwhile
        return


def _acknowledgement(
    comment: str, *, site: Site, about: tuple[int, int], rules: Mapping[str, type[Rule]]
) -> Acknowledgement:
    names, reason = _read(comment)
    understood = _RIGHT.fullmatch(_parts(comment)[0])
    return Acknowledgement(
        rules=tuple(dict.fromkeys(_known(names, rules))) if understood else (),
        file=site.file,
        lines=about,
        reason=reason,
        written=_place(site),
        site=site,
        reached=False,
    )


def _problems(comment: str, *, site: Site, rules: Mapping[str, type[Rule]]) -> Iterator[Acknowledgement]:
    """What is wrong with a comment, each as an acknowledgement that acknowledges nothing."""
    for problem in _wrong(comment, rules):
        yield Acknowledgement(
            rules=(),
            file=site.file,
            written=_place(site),
            site=site,
            reached=False,
            problem=problem if problem.endswith("?") else f"{problem}.",
        )


def _wrong(comment: str, rules: Mapping[str, type[Rule]]) -> Iterator[str]:
    word, rest = _parts(comment)
    names, _ = _read(comment)
    if not _CODES.match(rest):
        yield f"it names no rule in brackets: {_HOW}"
    elif not names:
        yield f"its brackets are empty: {_HOW}"
    elif not _RIGHT.fullmatch(word):
        yield f"it says `{word}`: {_HOW}"
    for name in names:
        try:
            code_of(name, rules)
        except UsageError as error:
            yield str(error)


def _known(names: Collection[str], rules: Mapping[str, type[Rule]]) -> Iterator[str]:
    for name in names:
        try:
            yield code_of(name, rules)
        except UsageError:  # told by `_wrong`
            continue


def _read(comment: str) -> tuple[list[str], str]:
    """The names in a comment's brackets, and the reason behind them."""
    _, rest = _parts(comment)
    found = _CODES.match(rest)
    if not found:
        return [], ""
    names = [name.strip() for name in found[1].split(",")]
    return [name for name in names if name], found[2].strip().lstrip("-\N{EN DASH}\N{EM DASH}:,; ").strip()


def _parts(comment: str) -> tuple[str, str]:
    found = _MEANT.search(comment)
    return (found[1], found[2]) if found else ("", "")


def _place(site: Site) -> str:
    return f"comment {PurePath(site.file).name}:{site.line}"
