"""The engine: what it does with claims, options, and rules that fail."""

from __future__ import annotations

from typing import Any, Never

import pytest

from graddebug.diagnose.engine import Engine
from graddebug.diagnose.rule import PARAMETERS, Claim, Rule, thresholds
from graddebug.errors import UsageError
from graddebug.ledger import Ledger
from graddebug.records import (
    Backward,
    NotObservable,
    ParameterInfo,
    ParameterSet,
    Role,
    Severity,
    Site,
    StepEnd,
)
from tests.diagnose.story import Tell

TABLE = [ParameterInfo(index=i, name=f"p{i}", shape=(1,), dtype="float32") for i in range(6)]


class EachBackward(Rule):
    """Claims something of each backward."""

    code, slug, title, severity = "XX001", "each-backward", "Each backward", Severity.NOTE
    options = thresholds(
        line="where it is",
    )
    line = 1

    def on_backward(self, event: Backward, ledger: Ledger) -> list[Claim]:
        roles = (Role("backward", Site("a.py", self.line if self.line > 1 else event.order, "f")),)
        return [
            Claim(
                step=event.step,
                message=f"Wrote {PARAMETERS}.",
                fix="-",
                roles=roles,
                parameters=event.written,
            )
        ]


class Broken(Rule):
    """Raises at the end of a step."""

    code, slug, title, severity = "XX002", "broken", "Broken", Severity.NOTE

    def on_step_over(self, event: StepEnd, ledger: Ledger) -> Never:
        raise ZeroDivisionError("oops")


class Unplaced(Rule):
    """Claims without a line."""

    code, slug, title, severity = "XX003", "unplaced", "Unplaced", Severity.NOTE

    def on_backward(self, event: Backward, ledger: Ledger) -> list[Claim]:
        return [Claim(step=event.step, message="-", fix="-", parameters=event.written)]


def backward(order: int, written: ParameterSet = (0,)) -> Backward:
    return Backward(step=order, order=order, written=written)


def engine(*rules: type[Rule], **fields: Any) -> Engine:
    return Engine(TABLE, [], rules=rules, **fields)


def test_feed_returns_only_what_is_new() -> None:
    """The first sighting is news, the second a count."""
    judge = engine(EachBackward, options={"XX001": {"line": 3}})
    assert len(judge.feed(backward(0))) == 1
    assert judge.feed(backward(1)) == []
    (finding,) = judge.findings
    assert (finding.count, finding.first_step, finding.last_step) == (2, 0, 1)


def test_parameters_of_repeats_join() -> None:
    """The same lines with other parameters are the same finding, and its words follow."""
    judge = engine(EachBackward, options={"each-backward": {"line": 3}})
    for order in range(4):
        judge.feed(backward(order, (order,)))
    (finding,) = judge.findings
    assert finding.parameters == ("p0", "p1", "p2", "p3")
    assert finding.message == "Wrote p0, p1 and 2 more."


class Rate(Rule):
    """Speaks of its newest sighting."""

    code, slug, title, severity = "XX004", "rate", "Rate", Severity.NOTE

    def on_backward(self, event: Backward, ledger: Ledger) -> list[Claim]:
        return [Claim(step=event.step, message=f"Up to {event.step}.", fix="-", topic="rate", latest=True)]


def test_a_rate_is_told_in_the_newest_words() -> None:
    """The first step stays."""
    engine = Engine(TABLE, [], rules=[Rate])
    for step in range(3):
        engine.feed(Backward(step=step, order=step))
    (finding,) = engine.findings
    assert (finding.message, finding.first_step, finding.last_step, finding.count) == ("Up to 2.", 0, 2, 3)


def test_other_lines_are_another_finding() -> None:
    """Ids differ with the lines, and are stable between runs."""
    one, two = engine(EachBackward), engine(EachBackward)
    for judge in (one, two):
        judge.feed(backward(7))
        judge.feed(backward(8))
    assert len({finding.id for finding in one.findings}) == 2
    assert [f.id for f in one.findings] == [f.id for f in two.findings]


def test_without_lines_parameters_tell_findings_apart() -> None:
    """Nothing else could."""
    judge = engine(Unplaced)
    for written in ((0,), (1,), (0,)):
        judge.feed(backward(0, written))
    assert [f.parameters for f in judge.findings] == [("p0",), ("p1",)]


def test_a_failing_rule_warns_once_and_is_left_out() -> None:
    """Judging goes on without it."""
    judge = engine(Broken, EachBackward)
    with pytest.warns(RuntimeWarning, match="leaves out the rule XX002: it raised ZeroDivisionError: oops"):
        judge.feed(StepEnd(step=0, order=0))
    judge.feed(StepEnd(step=1, order=1))
    judge.feed(backward(2))
    assert len(judge.findings) == 1


@pytest.mark.parametrize("word", ["XX001", "each-backward"])
def test_disabled_by_code_or_slug(word: str) -> None:
    """A disabled rule says nothing."""
    judge = engine(EachBackward, disabled=[word])
    judge.feed(backward(0))
    assert judge.findings == []


@pytest.mark.parametrize("fields", [{"disabled": ["GD999"]}, {"options": {"GD999": {}}}])
def test_unknown_rules_are_said(fields: Any) -> None:
    """A typing error must not disable nothing."""
    with pytest.raises(UsageError, match="There is no rule 'GD999'"):
        Engine(TABLE, [], **fields)


def test_unknown_options_are_said() -> None:
    """With those that there are."""
    with pytest.raises(UsageError, match="XX001 has no option 'lines'; its options are: line"):
        engine(EachBackward, options={"XX001": {"lines": 3}})


@pytest.mark.parametrize("value", [0, -3, 2.5, "3", True, None])
def test_a_threshold_of_no_use_is_said(value: object) -> None:
    """With what it takes, and its default."""
    with pytest.raises(UsageError, match=r"XX001's option line is a whole number from 1 on, not .* 1\)"):
        engine(EachBackward, options={"XX001": {"line": value}})


def test_what_was_not_observable_is_kept() -> None:
    """It is reported beside the findings."""
    event = NotObservable(step=0, order=0, what="nodes", reason="compiled")
    judge = Engine(TABLE, [])
    judge.feed(event)
    assert judge.not_observable == [event]


def test_replay_finds_what_live_found(tell: Tell) -> None:
    """The same events give the same findings, with the tables as they were at the end."""
    story = tell()
    for _ in range(5):
        story.backward()
        story.step()
    again = Engine(story.table, story.engine.ledger.optimizer_infos)
    for event in story.events:
        again.feed(event)
    assert again.findings == story.findings != []
