"""What a rule is, and what it hands to the engine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

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
    ``options`` names the attributes that a user may set.
    """

    code: ClassVar[str]
    slug: ClassVar[str]
    title: ClassVar[str]
    severity: ClassVar[Severity]
    why: ClassVar[str]
    fix: ClassVar[str]
    example: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **options: object) -> None:
        for name, value in options.items():
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                raise UsageError(f"{self.code} has no option {name!r}; its options are: {known}.")
            setattr(self, name, value)


def roles(**sites: Site | None) -> tuple[Role, ...]:
    """Roles by keyword, leaving out those whose site is not known."""
    return tuple(Role(name, site) for name, site in sites.items() if site is not None)
