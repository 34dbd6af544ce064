"""What a rule is, and what it hands to the engine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar

from graddebug.diagnose.evidence import Evidence
from graddebug.errors import UsageError
from graddebug.records import ParameterSet, Role, Severity, Site

#: Stands in a claim's message for the names of its parameters: the engine puts in those of all repeats.
PARAMETERS = "<parameters>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One sighting of what a rule looks for; the engine folds sightings into findings.

    ``message`` may hold `PARAMETERS`. The last of ``roles`` is the line that did the harm. Two claims of a
    rule are one finding when the ``roles`` named by ``anchor`` (all of them if empty) lie on the same lines
    and they are of one ``variant``; a claim without lines is told from others by ``topic`` and its
    parameters. ``severity`` None: the rule's own. ``latest``: the finding speaks in the words of its newest
    sighting (a rate, a streak), not of its first.
    """

    step: int
    message: str
    fix: str
    roles: tuple[Role, ...] = ()
    parameters: ParameterSet = ()
    evidence: dict[str, object] = field(default_factory=dict)
    severity: Severity | None = None
    anchor: tuple[str, ...] = ()
    topic: str = ""
    variant: str = ""
    latest: bool = False


Claims = Iterable[Claim] | None


class Rule:
    """Base of all rules: one instance judges one run, live or on replay.

    A rule listens by having methods: ``on_<kind>(event, ledger)`` for an event of that kind (after the
    ledger has folded it), ``on_consumed``, ``on_discarded``, ``on_added_to_nonfinite``,
    ``on_nonfinite_settled`` for the facts of `graddebug.ledger.facts`, and ``on_measured`` for stretches of
    steps with their statistics (`graddebug.diagnose.measured`), the last of them right before
    ``on_run_end``. Each returns claims, or None. State must not grow with the number of steps.
    ``options``, made by `thresholds`, names the attributes that a user may set. Their values on the class
    are the defaults; one that is a whole number takes only those. ``needs`` is what must have been seen
    before silence means that nothing is wrong.
    """

    code: ClassVar[str]
    slug: ClassVar[str]
    title: ClassVar[str]
    severity: ClassVar[Severity]
    why: ClassVar[str]
    fix: ClassVar[str]
    example: ClassVar[str]
    options: ClassVar[Mapping[str, str]] = MappingProxyType({})
    needs: ClassVar[tuple[Evidence, ...]] = ()

    def __init__(self, **options: object) -> None:
        for name, value in options.items():
            setattr(self, name, self.checked_option(name, value))

    @classmethod
    def checked_option(cls, name: str, value: object) -> object:
        """A value for an option, of the type it has; `UsageError` for an unknown name, a value of no use."""
        if name not in cls.options:
            known = ", ".join(cls.options) or "none"
            raise UsageError(f"{cls.code} has no option {name!r}; its options are: {known}.")
        default = getattr(cls, name)
        wanted = _wanted(default, value)
        if wanted:
            raise UsageError(f"{cls.code}'s option {name} is {wanted}, not {value!r} (default: {default!r}).")
        return float(value) if type(default) is float else value  # type: ignore[arg-type]


def thresholds(**what: str) -> Mapping[str, str]:
    """A rule's ``options``: attributes that a user may set, each with what it counts or measures."""
    return MappingProxyType(what)


def _wanted(default: object, value: object) -> str:
    """What an option with such a default takes, in words; empty if the value is of that kind."""
    if type(default) is int:
        return "" if type(value) is int and value >= 1 else "a whole number from 1 on"
    if type(default) is float:
        fits = type(value) in (int, float) and 0 <= value < math.inf  # type: ignore[operator]
        return "" if fits else "a number, not negative"
    return ""


def roles(**sites: Site | None) -> tuple[Role, ...]:
    """Roles by keyword, leaving out those whose site is not known."""
    return tuple(Role(name, site) for name, site in sites.items() if site is not None)
