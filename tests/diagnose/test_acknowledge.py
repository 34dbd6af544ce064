"""Which findings an acknowledgement is about, and what becomes of it in the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from graddebug.diagnose.acknowledge import Acknowledged, applies
from graddebug.diagnose.engine import Engine
from graddebug.diagnose.rule import Claim, Rule
from graddebug.ledger import Ledger
from graddebug.records import (
    Acknowledgement,
    Backward,
    Finding,
    NotObservable,
    ParameterInfo,
    Role,
    RunEnd,
    Severity,
    Site,
)

TABLE = [ParameterInfo(index=i, name=f"net.{i}", shape=(1,), dtype="float32") for i in range(3)]
FOUND = Finding(
    id="XX001-1",
    rule="XX001",
    slug="each-backward",
    severity=Severity.ERROR,
    message="-",
    fix="-",
    first_step=0,
    last_step=0,
    parameters=("encoder.0", "head.0"),
    roles=(
        Role("backward", Site("/home/ada/train.py", 12, "f")),
        Role("step", Site("/home/ada/lib.py", 3, "g")),
    ),
)


def known(*rules: str, **fields: Any) -> Acknowledgement:
    return Acknowledgement(rules=rules or ("XX001",), **fields)


@pytest.mark.parametrize(
    ("entry", "about"),
    [
        (known(), True),
        (known("XX002"), False),
        (known("XX002", "XX001"), True),
        (known(parameters=("encoder.*",)), False),
        (known(parameters=("encoder.*", "head.?")), True),
        (known(parameters=("*",)), True),
        (known(file="/home/ada/train.py", lines=(10, 12)), True),
        (known(file="/home/ada/train.py", lines=(13, 14)), False),
        (known(file="train.py", lines=(12, 12)), True),
        (known(file="lib.py", lines=(12, 12)), False),
        (known(file="lib.py"), True),
        (known(file="ada/*.py"), True),
        (known(file="rain.py"), False),
        (known(file="train.py", lines=(12, 12), parameters=("head.*",)), False),
        (known(problem="it is not understood"), False),
    ],
)
def test_all_criteria_must_agree(entry: Acknowledgement, about: bool) -> None:
    """Every parameter of the finding must match a glob, and one of its lines the place."""
    assert applies(entry, FOUND) is about


def test_a_glob_is_about_no_finding_without_parameters() -> None:
    """Nothing of it would match."""
    assert not applies(known(parameters=("*",)), replace(FOUND, parameters=()))


def test_the_most_exact_word_gives_the_reason() -> None:
    """A line before parameters before a whole rule."""
    words = [
        known(reason="rule"),
        known(file="train.py", lines=(12, 12), reason="line"),
        known(parameters=("*",)),
    ]
    marked = Acknowledged(words).marked(FOUND)
    assert marked.acknowledged == "line"
    assert Acknowledged([known(written="/home/ada/pyproject.toml")]).marked(FOUND) == replace(
        FOUND, acknowledged="no reason given", acknowledged_by="pyproject.toml"
    )


# --- in the engine ----------------------------------------------------------------------------------


class EachBackward(Rule):
    """Claims something of each backward's line and parameters."""

    code, slug, title, severity = "XX001", "each-backward", "Each backward", Severity.ERROR

    def on_backward(self, event: Backward, ledger: Ledger) -> list[Claim]:
        assert event.site is not None
        return [
            Claim(
                step=event.step,
                message="-",
                fix="-",
                roles=(Role("backward", event.site),),
                parameters=event.written,
            )
        ]


def backward(line: int, *written: int) -> Backward:
    return Backward(step=0, order=line, site=Site("train.py", line, "f"), written=written, reached=written)


def engine(*entries: Acknowledgement) -> Engine:
    return Engine(TABLE, [], acknowledged=Acknowledged(entries), rules=[EachBackward, *REPORTING])


def reporting() -> list[type[Rule]]:
    from graddebug.diagnose.registry import all_rules

    return [all_rules()["GD001"], all_rules()["GD002"]]


REPORTING = reporting()
END = RunEnd(step=9, order=99, reason="finished")


def test_what_is_acknowledged_at_one_line_is_news_at_another() -> None:
    """The same rule goes on judging."""
    judge = engine(known(file="train.py", lines=(3, 3)))
    (first,) = judge.feed(backward(3, 0))
    (second,) = judge.feed(backward(5, 0))
    assert first.acknowledged is not None
    assert second.acknowledged is None


def test_a_finding_that_outgrows_its_acknowledgement_is_news() -> None:
    """Another parameter at the same line, that nobody has said they know."""
    judge = engine(known(parameters=("net.0",)))
    (first,) = judge.feed(backward(3, 0))
    assert first.acknowledged is not None
    assert judge.feed(backward(3, 0)) == []
    (grown,) = judge.feed(backward(3, 0, 1))
    assert (grown.acknowledged, grown.parameters) == (None, ("net.0", "net.1"))
    assert judge.feed(backward(3, 0, 2)) == []
    (last,) = judge.findings
    assert last.acknowledged is None


def told(judge: Engine, end: RunEnd = END) -> list[str]:
    return [finding.rule for finding in judge.feed(end)]


COMMENT = known(file="train.py", lines=(3, 3), written="comment train.py:3", site=Site("train.py", 3, ""))


def test_what_nothing_answers_to_is_told_once_a_place() -> None:
    """With its codes and its line."""
    judge = engine(COMMENT, known(written="watch()", parameters=("net.0",)), known(written="watch()"))
    judge.feed(Backward(step=0, order=0, site=Site("train.py", 5, "f")))
    first, second = (finding for finding in judge.feed(END) if finding.rule == "GD001")
    assert first.message == "The comment acknowledges XX001, and this run has no such finding."
    assert first.roles == (Role("comment", Site("train.py", 3, "")),)
    assert second.message == "watch() acknowledges XX001 of net.0, and this run has no such finding."
    assert second.severity is Severity.NOTE


def test_what_is_answered_to_is_not_stale() -> None:
    """Also where another entry is more exact."""
    judge = engine(COMMENT, known())
    judge.feed(backward(3, 0))
    assert told(judge) == []


@pytest.mark.parametrize(
    ("entry", "end"),
    [
        (replace(COMMENT, reached=False), END),
        (COMMENT, replace(END, reason="exception")),
        (COMMENT, replace(END, reason="interrupted")),
        (known("XX777"), END),
        (known(parameters=("decoder.*",)), END),
        (known("GD001"), END),
    ],
    ids=["never came by", "raised", "interrupted", "not judged", "no such parameter", "about itself"],
)
def test_what_could_not_be_judged_is_not_stale(entry: Acknowledgement, end: RunEnd) -> None:
    """Nothing can be said of it."""
    judge = engine(entry)
    judge.feed(backward(5, 0))
    assert told(judge, end) == []


def test_nothing_is_stale_where_nothing_trained_or_something_was_not_seen() -> None:
    """A run that only answers --help; one with a compiled region."""
    assert told(engine(known())) == []
    judge = engine(COMMENT)
    judge.feed(backward(5, 0))
    judge.feed(NotObservable(step=0, order=8, what="ops", reason="compiled"))
    assert told(judge) == []


def test_a_comment_that_is_not_understood_is_told_however_the_run_ends() -> None:
    """It can be acknowledged itself."""
    wrong = replace(COMMENT, rules=(), problem="there is no rule 'GD1': did you mean GD101?")
    judge = engine(wrong)
    (finding,) = judge.feed(replace(END, reason="exception"))
    assert finding.rule == "GD002"
    assert finding.message == "This comment is not understood: there is no rule 'GD1': did you mean GD101?"
    (finding,) = engine(wrong, known("GD002")).feed(END)
    assert finding.acknowledged is not None
