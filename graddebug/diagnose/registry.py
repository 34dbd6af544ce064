"""Finds the rules: those in the folder, and those that other packages offer."""

from __future__ import annotations

import pkgutil
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from graddebug.diagnose import rules
from graddebug.diagnose.rule import Rule

ENTRY_POINTS = "graddebug.rules"


def all_rules() -> dict[str, type[Rule]]:
    """Every rule by its code, sorted by code.

    A third party's rule that cannot be loaded, or whose code or slug is taken, warns and is left out.
    """
    found = dict(_own_rules())
    for rule in _foreign_rules(entry_points(group=ENTRY_POINTS)):
        taken = _clash(found, rule)
        if taken:
            _left_out(rule.__name__, f"{taken} is taken")
        else:
            found[rule.code] = rule
    return dict(sorted(found.items()))


@cache
def _own_rules() -> dict[str, type[Rule]]:
    modules = pkgutil.iter_modules(rules.__path__, f"{rules.__name__}.")
    return _gathered(module.name for module in modules)


def _gathered(modules: Iterable[str]) -> dict[str, type[Rule]]:
    found: dict[str, type[Rule]] = {}
    for module in modules:
        for rule in _rules_of(module):
            taken = _clash(found, rule)
            if taken:
                raise ValueError(f"{module}: {taken} belongs to another rule.")
            found[rule.code] = rule
    return found


def _rules_of(module: str) -> Iterator[type[Rule]]:
    for value in vars(import_module(module)).values():
        if isinstance(value, type) and issubclass(value, Rule) and value.__module__ == module:
            yield value


def _clash(found: dict[str, type[Rule]], rule: type[Rule]) -> str | None:
    if rule.code in found:
        return f"the code {rule.code}"
    if any(rule.slug == known.slug for known in found.values()):
        return f"the slug {rule.slug}"
    return None


def _foreign_rules(offers: Iterable[EntryPoint]) -> Iterator[type[Rule]]:
    for offer in offers:
        try:
            rule = offer.load()
        except Exception as problem:  # another package's code: whatever it raises, training goes on
            _left_out(offer.name, f"{type(problem).__name__}: {problem}")
            continue
        if isinstance(rule, type) and issubclass(rule, Rule) and hasattr(rule, "code"):
            yield rule
        else:
            _left_out(offer.name, "it is not a subclass of graddebug.diagnose.rule.Rule with a code")


def _left_out(name: str, reason: str) -> None:
    warnings.warn(f"graddebug leaves out the rule {name}: {reason}.", RuntimeWarning, stacklevel=3)
