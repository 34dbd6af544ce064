"""What is put into torch is taken out again exactly."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from graddebug.capture.hookset import HookSet
from graddebug.capture.modules import ModuleIntervals


def wrapped(original: Any) -> Any:
    return lambda: original() + 1


def place() -> SimpleNamespace:
    return SimpleNamespace(answer=lambda: 41)


def test_a_replaced_attribute_comes_back() -> None:
    """Also under its other names."""
    owner = place()
    alias = SimpleNamespace(answer=owner.answer)
    original, hooks = owner.answer, HookSet()
    hooks.replace(owner, "answer", wrapped, alias)
    assert (owner.answer(), alias.answer()) == (42, 42)
    hooks.restore()
    assert owner.answer is alias.answer is original


def test_somebody_elses_wrapper_over_ours_stays() -> None:
    """Taking ours out from below would take theirs out."""
    owner, hooks = place(), HookSet()
    hooks.replace(owner, "answer", wrapped)
    theirs = wrapped(owner.answer)
    owner.answer = theirs
    hooks.restore()
    assert owner.answer is theirs


def test_what_this_torch_does_not_have_is_not_replaced() -> None:
    """Nothing is made up."""
    owner, hooks = SimpleNamespace(), HookSet()
    hooks.replace(owner, "answer", wrapped)
    assert (len(hooks), vars(owner)) == (0, {})


def test_restoring_twice_is_harmless() -> None:
    """Everything is given back once."""
    owner, hooks = place(), HookSet()
    hooks.replace(owner, "answer", wrapped)
    hooks.restore()
    owner.answer = "mine"
    hooks.restore()
    assert owner.answer == "mine"


def test_nodes_lie_in_the_innermost_interval() -> None:
    """Whose begin and end enclose their number; of another thread's none."""
    intervals = ModuleIntervals()
    intervals.add(1, 2, 4, "outer.inner")
    intervals.add(1, 1, 6, "outer")
    assert intervals.place(1, [0, 1, 2, 3, 4, 5, 6]) == [
        "",
        "outer",
        "outer.inner",
        "outer.inner",
        "outer",
        "outer",
        "",
    ]
    assert intervals.place(2, [2]) == [""]
