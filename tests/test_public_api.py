"""The names users may rely on. A change here is a change of the public interface: CHANGELOG it."""

from __future__ import annotations

import inspect

import pytest

import graddebug

PUBLIC = [
    "Finding",
    "FindingRaised",
    "GraddebugError",
    "Recording",
    "Run",
    "Severity",
    "TraceError",
    "UsageError",
    "__version__",
    "watch",
]


def test_public_names_are_pinned() -> None:
    """`graddebug` offers these names and no others."""
    assert sorted(graddebug.__all__) == PUBLIC
    assert dir(graddebug) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_can_be_reached(name: str) -> None:
    """Each name leads to something that says what it is for."""
    thing = getattr(graddebug, name)
    assert isinstance(thing, str) or inspect.getdoc(thing)


def test_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as in any module."""
    with pytest.raises(AttributeError, match="no attribute 'wach'"):
        graddebug.wach  # noqa: B018


def test_arguments_of_watch_are_pinned() -> None:
    """What `watch` takes, by name."""
    assert list(inspect.signature(graddebug.watch).parameters) == [
        "objects",
        "out",
        "on_finding",
        "nodes",
        "title",
        "ignore",
        "options",
        "named",
    ]
