"""Comments in the user's source."""

from __future__ import annotations

import pytest

from graddebug.diagnose.registry import all_rules
from graddebug.known.comments import acknowledgements_in
from graddebug.records import Acknowledgement


def read(source: str) -> list[Acknowledgement]:
    return acknowledgements_in(source.splitlines(keepends=True), file="/a/train.py", rules=all_rules())


@pytest.mark.parametrize(
    ("comment", "codes", "reason"),
    [
        ("# graddebug: ignore[GD101]", ("GD101",), ""),
        ("# graddebug: ignore[GD101] on purpose", ("GD101",), "on purpose"),
        ("# graddebug:ignore[GD101, GD102]: warm-up", ("GD101", "GD102"), "warm-up"),
        ("# graddebug: ignore[stale-gradient] - kept (see #12)", ("GD101",), "kept (see #12)"),
        ("# noqa: E501  # graddebug: ignore[GD101] why  # type: ignore[arg-type]", ("GD101",), "why"),
        ("# graddebug: ignore[GD101, GD101]", ("GD101",), ""),
    ],
)
def test_codes_and_reason(comment: str, codes: tuple[str, ...], reason: str) -> None:
    """Several codes, slugs, a reason after whatever separates it, other tools' comments beside it."""
    (entry,) = read(f"optimizer.step()  {comment}\n")
    assert (entry.rules, entry.reason, entry.problem) == (codes, reason, "")
    assert entry.written == "comment train.py:1"


STATEMENTS = """\
import torch
optimizer.step(
    closure,
)  # graddebug: ignore[GD101] at its end
total = sum(
    loss(a),  # graddebug: ignore[GD102] in the middle
    loss(b),
)
# graddebug: ignore[GD103] above
# graddebug: ignore[GD104] above that

scaler.step(
    optimizer
)
for x in data:  # graddebug: ignore[GD105] the head alone
    step(x)
"""


def test_a_comment_is_about_its_whole_statement() -> None:
    """Also one of several lines, and from the line above; of a block only its head."""
    assert {entry.rules: entry.lines for entry in read(STATEMENTS)} == {
        ("GD101",): (2, 4),
        ("GD102",): (5, 8),
        ("GD103",): (12, 14),
        ("GD104",): (12, 14),
        ("GD105",): (15, 15),
    }


@pytest.mark.parametrize(
    ("comment", "problem"),
    [
        ("# graddebug: ignore[gd101]", "there is no rule 'gd101': did you mean GD101?"),
        ("# graddebug: ignore[GD1O1]", "there is no rule 'GD1O1': did you mean GD101 stale-gradient"),
        ("# graddebug: ignore", "it names no rule in brackets: write `# graddebug: ignore[CODE] reason`."),
        ("# graddebug: ignore GD101", "it names no rule in brackets"),
        ("# graddebug: ignore[]", "its brackets are empty"),
        (
            "# Graddebug: Ignore[GD101]",
            "it says `Graddebug: Ignore`: write `# graddebug: ignore[CODE] reason`.",
        ),
        ("# graddebug ignore[GD101]", "it says `graddebug ignore`: write"),
    ],
)
def test_what_is_not_understood_is_said_and_acknowledges_nothing(comment: str, problem: str) -> None:
    """A slip of the finger must not silence, and must not go unnoticed."""
    (entry,) = read(f"optimizer.step()  {comment}\n")
    assert entry.problem.startswith(problem)
    assert entry.rules == ()


def test_known_codes_beside_an_unknown_one_count() -> None:
    """The one that is wrong is told."""
    known, unknown = read("step()  # graddebug: ignore[GD101, GD999] why\n")
    assert (known.rules, known.problem) == (("GD101",), "")
    assert "GD999" in unknown.problem


@pytest.mark.parametrize(
    "source",
    [
        'text = "# graddebug: ignore[GD101]"\n',
        '"""\n# graddebug: ignore[GD101]\n"""\n',
        "step()  # see the docs of graddebug\n",
        "step()  # graddebug ignores this\n",
        "# graddebug: ignore[GD101] and nothing follows\n",
        "step(  # graddebug: ignore[GD101]\n",
        "%%time\n  x = (\n# graddebug: ignore[GD101]",
        "\0 graddebug: ignore[GD101]",
        "",
    ],
)
def test_what_is_none_of_our_comments_is_left_alone(source: str) -> None:
    """Text, prose, and what is no Python."""
    assert read(source) == []
