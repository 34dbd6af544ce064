"""Printing in the middle of somebody else's program."""

from __future__ import annotations

import io
import sys
from types import ModuleType
from typing import ClassVar, TextIO

import pytest

from graddebug.records import Role
from graddebug.report.live import LivePrinter, live_bar
from tests.report.stories import STALE, finding, site


class Bars:
    """As much of ``tqdm.tqdm`` as the printer touches: the set of open bars, and `write`."""

    _instances: ClassVar[set[int]] = set()
    written: ClassVar[list[str]] = []

    @classmethod
    def write(cls, text: str, file: TextIO) -> None:
        assert file is sys.stderr
        cls.written.append(text)


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> type[Bars]:
    module = ModuleType("tqdm")
    vars(module)["tqdm"] = Bars
    monkeypatch.setitem(sys.modules, "tqdm", module)
    monkeypatch.setattr(Bars, "_instances", set())
    monkeypatch.setattr(Bars, "written", [])
    return Bars


def test_a_finding_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Findings are talk, not data."""
    LivePrinter()(STALE)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("graddebug: ✖ error  GD101 stale-gradient, step 1\n")


def test_open_bars_are_written_above(bars: type[Bars], capsys: pytest.CaptureFixture[str]) -> None:
    """While the program shows tqdm bars, text goes through tqdm so that they stay whole."""
    bars._instances.add(1)
    LivePrinter().say("hello")
    assert (bars.written, capsys.readouterr().err) == (["hello"], "")


def test_without_open_bars_tqdm_is_not_asked(bars: type[Bars]) -> None:
    """An imported tqdm with no bar on screen changes nothing."""
    assert live_bar() is None


@pytest.mark.parametrize("broken", [None, "closed"])
def test_a_broken_stream_does_not_end_training(monkeypatch: pytest.MonkeyPatch, broken: str | None) -> None:
    """No standard error, or a closed one: nothing is raised."""
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream if broken else None)
    LivePrinter()(STALE)


def test_a_failing_bar_does_not_end_training(bars: type[Bars], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever tqdm raises stays with us."""

    def fail(text: str, file: TextIO) -> None:
        raise RuntimeError("bar")

    bars._instances.add(1)
    monkeypatch.setattr(bars, "write", fail)
    LivePrinter().say("hello")


def test_a_library_in_between_has_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Two roles on the user's one line are told apart."""
    through = site(5, library="pl/loop.py:8 in run")
    LivePrinter()(finding(roles=(Role("step", through),)))
    assert "    through pl/loop.py:8 in run\n" in capsys.readouterr().err
