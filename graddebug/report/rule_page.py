"""A rule's page, made of what the rule says of itself, and its address.

``docs/rules`` holds one page a rule; ``graddebug rules --markdown docs/rules`` writes them.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graddebug.diagnose.rule import Rule

#: Where the pages are published, for those who keep a copy of their own: ``https://…/rules``.
VARIABLE = "GRADDEBUG_RULES_URL"
#: The name of the same address among the package's own.
_LABEL = "Rules"
_IN_SOURCE = Path(__file__).parents[2] / "docs" / "rules"


def markdown_page(rule: type[Rule]) -> str:
    """Everything a rule says of itself, as one Markdown document."""
    when = inspect.getdoc(rule) or ""
    parts = [
        f"# {rule.code} `{rule.slug}`",
        f"**{rule.severity.word}**: {rule.title}.",
        inspect.cleandoc(rule.why),
        f"## When it fires\n\n{when}" if when else "",
        f"## What it needs to see\n\n{_needs(rule)}" if rule.needs else "",
        f"## Example\n\n```python\n{inspect.cleandoc(rule.example)}\n```",
        f"## Fix\n\n{inspect.cleandoc(rule.fix)}",
        _options(rule),
        f"## If it is meant so\n\n`# graddebug: ignore[{rule.code}] reason` on the line, or one of the other "
        "ways of [acknowledging](../acknowledging.md).",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _needs(rule: type[Rule]) -> str:
    lines = [f"- It judges nothing where {one.missing}." for one in rule.needs]
    return "\n".join(lines)


def _options(rule: type[Rule]) -> str:
    if not rule.options:
        return ""
    rows = [f"| `{name}` | `{getattr(rule, name)!r}` | {text} |" for name, text in rule.options.items()]
    return "\n".join(["## Options", "", "| option | default | what it is |", "|---|---|---|", *rows])


def index_page(rules: Iterable[type[Rule]]) -> str:
    """All rules in one table, each with a link to its page."""
    rows = [f"| [{r.code}]({r.code}.md) `{r.slug}` | {r.severity.word} | {r.title} |" for r in rules]
    head = ["# Rules", "", "| rule | severity | what it says |", "|---|---|---|"]
    note = "These pages are made from the rules: `graddebug rules --markdown docs/rules` writes them anew."
    return "\n".join([*head, *rows, "", note]) + "\n"


def own_rules(rules: Mapping[str, type[Rule]]) -> list[type[Rule]]:
    """Those that come with graddebug."""
    return [rule for rule in rules.values() if rule.__module__.startswith("graddebug.")]


def all_pages(rules: Iterable[type[Rule]]) -> dict[str, str]:
    """Every page by its file's name."""
    rules = list(rules)
    return {"README.md": index_page(rules)} | {f"{rule.code}.md": markdown_page(rule) for rule in rules}


def addresses(codes: Iterable[str], environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Where the pages of these rules are; those without an address are left out.

    The base is that of the environment, else the one that the package was published with, else the source
    tree that graddebug runs from.
    """
    environment = os.environ if environment is None else environment
    base = environment.get(VARIABLE) or _published()
    if base:
        return {code: f"{base.rstrip('/')}/{code}.md" for code in codes}
    pages = {code: _IN_SOURCE / f"{code}.md" for code in codes if code.isalnum()}
    return {code: page.as_uri() for code, page in pages.items() if page.is_file()}


def _published() -> str:
    try:
        urls = metadata.metadata("graddebug").get_all("Project-URL", [])
    except metadata.PackageNotFoundError:
        return ""
    named = (url.partition(", ") for url in urls)
    return next((url for label, _, url in named if label == _LABEL), "")
