"""The catalogue and the pages of the rules."""

from __future__ import annotations

import pytest

from graddebug.commands.rules import find, page, table
from graddebug.diagnose.registry import all_rules
from graddebug.errors import UsageError

RULES = all_rules()


def test_the_table_has_a_line_for_each_rule() -> None:
    """Code, slug and severity, aligned, in order of code."""
    lines = table(RULES).splitlines()
    assert [line[:5] for line in lines] == sorted(RULES)
    assert lines[2].split()[:3] == ["GD101", "stale-gradient", "error"]
    assert len({line.index(f" {RULES[line[:5]].severity.word} ") for line in lines}) == 1


@pytest.mark.parametrize("code", sorted(RULES))
def test_every_page_says_what_a_reader_needs(code: str) -> None:
    """Why, when, an example and the fix are on each page, within the width."""
    text = page(RULES[code], width=80)
    assert text.startswith(f"{code} {RULES[code].slug} ({RULES[code].severity.word})")
    assert [title for title in ("When it fires", "Example", "Fix") if f"\n\n{title}\n  " not in text] == []
    assert all(f"{option} = " in text for option in RULES[code].options)


@pytest.mark.parametrize("name", ["GD101", "gd101", "stale-gradient", "Stale-Gradient"])
def test_a_rule_goes_by_code_and_slug(name: str) -> None:
    """In any case."""
    assert find(RULES, name).code == "GD101"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("GD1O1", "did you mean GD101 stale-gradient or"),
        ("stale-grad", "did you mean GD101 stale-gradient"),
        ("???", "graddebug rules` lists all"),
    ],
)
def test_an_unknown_rule_gets_the_nearest(name: str, hint: str) -> None:
    """A slip of the finger is answered with what was probably meant."""
    with pytest.raises(UsageError) as raised:
        find(RULES, name)
    assert hint in str(raised.value)
