"""Rules by the names that people write: codes and slugs, and what they may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from graddebug.diagnose.rule import Rule
from graddebug.errors import UsageError

_LEAST_LIKENESS = 0.4


def code_of(name: str, rules: Mapping[str, type[Rule]]) -> str:
    """The code of the rule that a code or a slug names exactly; `UsageError` with the nearest ones."""
    for code, rule in rules.items():
        if name in (code, rule.slug):
            return code
    raise UsageError(f"there is no rule {name!r}: {did_you_mean(name, rules)}")


def did_you_mean(name: str, rules: Mapping[str, type[Rule]]) -> str:
    """The rules whose code or slug is most like a name, as a question."""
    by_name = {key: rule for rule in rules.values() for key in (rule.code.lower(), rule.slug)}
    if name.lower() in by_name:
        rule = by_name[name.lower()]
        return f"did you mean {rule.code if name.lower() == rule.code.lower() else rule.slug}?"
    close = [by_name[key] for key in nearest_names(name.lower(), by_name)]
    nearest = " or ".join(dict.fromkeys(f"{rule.code} {rule.slug}" for rule in close))
    return f"did you mean {nearest}?" if nearest else "`graddebug rules` lists all"


def nearest_names(name: str, known: Iterable[str]) -> list[str]:
    """The three names most like ``name``, the likest first; those with little in common left out."""
    likeness = {key: difflib.SequenceMatcher(None, name, key).ratio() for key in known}
    ranked = sorted(likeness, key=lambda key: (-likeness[key], key))
    return [key for key in ranked[:3] if likeness[key] >= _LEAST_LIKENESS]
