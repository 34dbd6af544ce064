"""`graddebug rules`: the catalogue of what graddebug can find, and one rule's page."""

from __future__ import annotations

import argparse
import inspect
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from graddebug.commands.command import Command, Exit, option
from graddebug.errors import UsageError

if TYPE_CHECKING:
    from graddebug.diagnose.rule import Rule


def run(arguments: argparse.Namespace) -> int:
    """Print the table of all rules, or the page of the one that was named."""
    from graddebug.diagnose.registry import all_rules
    from graddebug.report.terminal import emit, terminal_width

    rules = all_rules()
    if arguments.markdown is not None:
        write_pages(rules, Path(arguments.markdown))
        return Exit.FINE
    text = (
        table(rules) if arguments.rule is None else page(find(rules, arguments.rule), width=terminal_width())
    )
    emit(text)
    return Exit.FINE


def write_pages(rules: Mapping[str, type[Rule]], folder: Path) -> None:
    """Write a page for each rule of graddebug's own, and take those of rules that are gone away."""
    from graddebug.report.rule_page import all_pages, own_rules

    pages = all_pages(own_rules(rules))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("GD[0-9]*.md"):
            if old.name not in pages:
                old.unlink()
        for name, text in pages.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write the rules' pages into {folder}: {error.strerror}") from None


def find(rules: Mapping[str, type[Rule]], name: str) -> type[Rule]:
    """The rule of a code or a slug, in any case; `UsageError` with the nearest ones."""
    from graddebug.diagnose.naming import did_you_mean

    by_name = {key: rule for rule in rules.values() for key in (rule.code.lower(), rule.slug)}
    if name.lower() in by_name:
        return by_name[name.lower()]
    raise UsageError(f"no rule is called {name!r}: {did_you_mean(name, rules)}")


def table(rules: Mapping[str, type[Rule]]) -> str:
    """One line a rule: code, slug, severity, title."""
    slugs = max((len(rule.slug) for rule in rules.values()), default=0)
    lines = [
        f"{rule.code}  {rule.slug:<{slugs}}  {rule.severity.word:<7}  {rule.title}" for rule in rules.values()
    ]
    return "\n".join(lines)


def page(rule: type[Rule], *, width: int) -> str:
    """Everything about one rule: why it matters, when it fires, an example and its fix."""
    from graddebug.report.rule_page import addresses

    parts = [
        f"{rule.code} {rule.slug} ({rule.severity.word})\n{rule.title}",
        _paragraphs(rule.why, width=width),
        _section("When it fires", _paragraphs(inspect.getdoc(rule) or "", width=width - 2)),
        _section("Options", _options(rule)),
        _section("Example", inspect.cleandoc(rule.example)),
        _section("Fix", _paragraphs(rule.fix, width=width - 2)),
        _section("Page", addresses([rule.code]).get(rule.code, "")),
    ]
    return "\n\n".join(part for part in parts if part)


def _section(title: str, body: str) -> str:
    return f"{title}\n{textwrap.indent(body, '  ')}" if body else ""


def _options(rule: type[Rule]) -> str:
    return "\n".join(f"{name} = {getattr(rule, name)!r}\n    {text}" for name, text in rule.options.items())


def _paragraphs(text: str, *, width: int) -> str:
    """The text's paragraphs, each filled to the width."""
    return "\n\n".join(
        textwrap.fill(part, width, break_on_hyphens=False) for part in inspect.cleandoc(text).split("\n\n")
    )


COMMAND = Command(
    name="rules",
    summary="list what graddebug can find, or explain one rule",
    options=(
        option("rule", nargs="?", metavar="CODE", help="a code or a name, as in GD101 or stale-gradient"),
        option("--markdown", metavar="DIR", help=argparse.SUPPRESS),
    ),
    run=run,
)
