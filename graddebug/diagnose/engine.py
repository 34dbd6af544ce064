"""Runs the rules over a stream of events, live or on replay, and folds their claims into findings."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from graddebug.diagnose.acknowledge import (
    ABOUT_ACKNOWLEDGING,
    Acknowledged,
    AcknowledgementsSettled,
)
from graddebug.diagnose.evidence import STATISTICS, Judgement, Sightings
from graddebug.diagnose.measured import Measured, Stretches, Table
from graddebug.diagnose.registry import all_rules
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule
from graddebug.diagnose.wording import names
from graddebug.errors import UsageError
from graddebug.ledger import AddedToNonfinite, Consumed, Discarded, Fact, Ledger, NonfiniteSettled
from graddebug.records import (
    EVENTS,
    Event,
    Finding,
    NotObservable,
    OptimizerInfo,
    ParameterInfo,
    Role,
    RunEnd,
    StepRecord,
)

_Hook = Callable[[Any, Ledger], Claims]
_NO_OPTIONS: Mapping[str, Mapping[str, object]] = MappingProxyType({})
_FACTS = (Consumed, Discarded, AddedToNonfinite, NonfiniteSettled)


class Engine:
    """All rules that are not disabled, and what they have found so far.

    ``options`` maps a rule's code to its options, ``disabled`` holds codes or slugs; unknown ones raise
    `UsageError`. The two sequences may grow while the engine lives. What is ``acknowledged`` is found all the
    same, and marked. A rule that raises warns once and is left out from then on: judging must not disturb
    what is judged.
    """

    def __init__(
        self,
        parameters: Sequence[ParameterInfo],
        optimizers: Sequence[OptimizerInfo],
        *,
        options: Mapping[str, Mapping[str, object]] = _NO_OPTIONS,
        disabled: Collection[str] = (),
        rules: Iterable[type[Rule]] | None = None,
        acknowledged: Acknowledged | None = None,
    ) -> None:
        self.ledger = Ledger(parameters, optimizers)
        self.not_observable: list[NotObservable] = []
        self.acknowledged = Acknowledged() if acknowledged is None else acknowledged
        self._cases: dict[object, _Case] = {}
        self._rules = _chosen(all_rules().values() if rules is None else rules, options, disabled)
        self._hooks = self._listeners()
        self._stretches = Stretches()
        self._sightings = Sightings()
        self._judging = [type(rule) for rule in self._rules]
        self._failed: dict[str, str] = {}

    @property
    def findings(self) -> list[Finding]:
        """Everything found so far with its count, in order of first appearance."""
        return [self._weighed(case) for case in self._cases.values()]

    def feed(self, event: Event) -> list[Finding]:
        """Judge the next event; the findings it caused that were not known before.

        One that was acknowledged, and has grown beyond what that acknowledges, is news once more.
        """
        new: list[Finding] = []
        self._sightings.look(event)
        if type(event) is RunEnd:
            self._judge(self._stretches.rest(), new)
        for fact in self.ledger.fold(event):
            self._ask(fact, new)
        self._ask(event, new)
        if type(event) is RunEnd:
            self._ask(self._settled(event), new)
        return new

    def _settled(self, event: RunEnd) -> AcknowledgementsSettled:
        """Only of a run that ended as meant, trained, and was seen whole can be said what is not in it."""
        whole = event.reason == "finished" and not self.not_observable and self.ledger.backwards
        codes = {rule.code for rule in self._rules} if whole else set()
        return self.acknowledged.settled(
            event,
            self.findings,
            judged=codes.difference(ABOUT_ACKNOWLEDGING),
            parameters=self.ledger.parameters,
        )

    @property
    def judgements(self) -> list[Judgement]:
        """What became of each rule so far: whether it found something, nothing, or could not tell."""
        found = {rule.code for rule in (case.rule for case in self._cases.values())}
        look = self._sightings.judgement
        return [
            look(rule, found=rule.code in found, failed=self._failed.get(rule.code, ""))
            for rule in self._judging
        ]

    @property
    def wants_statistics(self) -> bool:
        """Whether any rule listens to statistics: if not, they need not be read."""
        return bool(self._hooks[Measured])

    def measured(self, record: StepRecord, table: Table | None) -> list[Finding]:
        """A step is over, with its (parameters, `STATISTICS`) table; the findings that were not known before.

        To be called right after its last event. A table that is None was not measured, and is passed over.
        """
        new: list[Finding] = []
        if table is not None and len(table) and self.wants_statistics:
            self._judge(self._stretches.add(record, table), new)
        return new

    def _judge(self, stretches: list[Measured], new: list[Finding]) -> None:
        for stretch in stretches:
            self._sightings.seen.add(STATISTICS)
            self._ask(stretch, new)

    def _ask(self, about: Event | Fact | Measured | AcknowledgementsSettled, new: list[Finding]) -> None:
        """Ask all rules that listen; what they find for the first time goes to the end of ``new``."""
        ledger = self.ledger
        for hook in self._hooks.get(type(about), ()):
            try:
                claims = hook(about, ledger)
                if claims:
                    new += self._admit(hook, claims)
            except Exception as problem:  # a third party's rule must not end the user's training
                self._leave_out(hook, problem)

    def _listeners(self) -> dict[type, tuple[_Hook, ...]]:
        listeners: dict[type, tuple[_Hook, ...]] = {}
        kinds: tuple[type[Event | Fact | AcknowledgementsSettled], ...]
        kinds = (*EVENTS.values(), *_FACTS, AcknowledgementsSettled)
        for kind in kinds:
            hooks = (getattr(rule, f"on_{kind.kind}", None) for rule in self._rules)
            listeners[kind] = tuple(hook for hook in hooks if hook is not None)
        measuring = (getattr(rule, "on_measured", None) for rule in self._rules)
        listeners[Measured] = tuple(hook for hook in measuring if hook is not None)
        listeners[NotObservable] += (self._note,)
        return listeners

    def _note(self, event: NotObservable, ledger: Ledger) -> Claims:
        self.not_observable.append(event)
        return None

    def _leave_out(self, hook: _Hook, problem: Exception) -> None:
        rule: Rule = hook.__self__  # type: ignore[attr-defined]
        self._rules = [known for known in self._rules if known is not rule]
        self._hooks = self._listeners()
        self._failed[rule.code] = f"it raised {type(problem).__name__}"
        told = f"graddebug leaves out the rule {rule.code}: it raised {type(problem).__name__}: {problem}"
        warnings.warn(told, RuntimeWarning, stacklevel=2)

    def _admit(self, hook: _Hook, claims: Iterable[Claim]) -> list[Finding]:
        rule: Rule = hook.__self__  # type: ignore[attr-defined]
        new = []
        for claim in claims:
            key = _key(rule, claim)
            case = self._cases.get(key)
            if case is None:
                self._cases[key] = case = _Case(rule, claim, key)
                new.append(self._weighed(case))
            elif case.again(claim) and case.acknowledged:
                finding = self._weighed(case)
                if finding.acknowledged is None:
                    new.append(finding)
        return new

    def _weighed(self, case: _Case) -> Finding:
        finding = self.acknowledged.marked(case.finding(self.ledger))
        case.acknowledged = finding.acknowledged is not None
        return finding


class _Case:
    """A finding that may still grow."""

    def __init__(self, rule: Rule, claim: Claim, key: tuple[object, ...]) -> None:
        self._rule, self._claim = rule, claim
        self._id = f"{rule.code}-{hashlib.sha1(repr(key).encode()).hexdigest()[:8]}"
        self._count = 1
        self._last_step = claim.step
        self._parameters = set(claim.parameters)
        self._severity = claim.severity or rule.severity
        self.acknowledged = False

    def again(self, claim: Claim) -> bool:
        """Count one more sighting: parameters join, the worst severity stays, with its words.

        Returns whether the finding's parameters or lines may be others now.
        """
        self._count += 1
        self._last_step = max(self._last_step, claim.step)
        before = len(self._parameters)
        self._parameters.update(claim.parameters)
        severity = claim.severity or self._rule.severity
        speaks = severity > self._severity or (claim.latest and severity == self._severity)
        if speaks:
            self._severity = severity
            self._claim = replace(claim, step=self._claim.step)
        return speaks or len(self._parameters) > before

    @property
    def rule(self) -> Rule:
        """Whose finding it is."""
        return self._rule

    def finding(self, ledger: Ledger) -> Finding:
        """The finding as of now; its parameters are those of all sightings."""
        claim = self._claim
        called = tuple(ledger.parameter_name(index) for index in sorted(self._parameters))
        return Finding(
            id=self._id,
            rule=self._rule.code,
            slug=self._rule.slug,
            severity=self._severity,
            message=claim.message.replace(PARAMETERS, names(called)),
            fix=claim.fix.replace(PARAMETERS, names(called)),
            first_step=claim.step,
            last_step=self._last_step,
            count=self._count,
            parameters=called,
            roles=claim.roles,
            evidence=claim.evidence,
        )


def _key(rule: Rule, claim: Claim) -> tuple[object, ...]:
    lines = tuple(sorted(_line(role) for role in claim.roles if _anchors(claim, role)))
    told_by = lines if lines else (claim.topic, claim.parameters)
    return (rule.code, claim.variant, told_by)


def _line(role: Role) -> tuple[str, str, int, str]:
    return (role.role, role.site.file, role.site.line, role.site.library)


def _anchors(claim: Claim, role: Role) -> bool:
    return not claim.anchor or role.role in claim.anchor


def _chosen(
    rules: Iterable[type[Rule]], options: Mapping[str, Mapping[str, object]], disabled: Collection[str]
) -> list[Rule]:
    rules = list(rules)
    known = {rule.code for rule in rules} | {rule.slug for rule in rules}
    for word in (*options, *disabled):
        if word not in known:
            raise UsageError(f"There is no rule {word!r}. `graddebug rules` lists them.")
    return [
        rule(**{**options.get(rule.slug, {}), **options.get(rule.code, {})})
        for rule in rules
        if rule.code not in disabled and rule.slug not in disabled
    ]
