"""Names, numbers and lines in a sentence."""

from __future__ import annotations

import pytest

from graddebug.diagnose.wording import names, place, quoted, size, times
from graddebug.records import Site


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (list("abcde"), "a, b and 3 more"),
    ],
)
def test_names_are_shortened_from_four_on(items: list[str], text: str) -> None:
    """A finding is one sentence, not a table."""
    assert names(items) == text


@pytest.mark.parametrize(("count", "text"), [(1, "1 step"), (2, "2 steps"), (1200, "1,200 steps")])
def test_counts_agree_with_their_noun(count: int, text: str) -> None:
    """One step, two steps."""
    assert times(count, "step") == text


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 B"), (3 * 2**20, "3.0 MiB"), (5 * 2**40, "5.0 TiB"), (2**52, "4096.0 TiB")]
)
def test_sizes_are_for_people(count: int, text: str) -> None:
    """Binary units."""
    assert size(count) == text


def test_a_line_is_quoted_with_its_place() -> None:
    """The user's own words, unless they are too long or missing."""
    assert (
        quoted(Site("/a/train.py", 3, "f", excerpt=("  go()",), excerpt_start=3), "x")
        == "`go()` (train.py:3)"
    )
    assert (
        quoted(Site("/a/train.py", 3, "f", excerpt=("y" * 99,), excerpt_start=3), "x") == "`x` (train.py:3)"
    )
    assert quoted(None, "x") == "`x`"
    assert place(None) == "a line that could not be seen"


def test_a_call_that_a_library_made_is_placed_in_the_library() -> None:
    """The user's entry line is the whole training."""
    entry = Site("/a/train.py", 3, "f", library="pl/loop.py:8 in run", excerpt=("fit()",), excerpt_start=3)
    assert quoted(entry, "backward()") == "`backward()` (pl/loop.py:8 in run)"
