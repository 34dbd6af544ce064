"""Findings as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from graddebug.records import Finding, Role, Severity
from graddebug.report.text import render_finding, render_headline, render_live
from tests.report.stories import EVAL, STALE, finding, site

GOLDEN = Path(__file__).parent / "golden"
FULL = {"error": STALE, "warning": EVAL}


@pytest.mark.parametrize("name", FULL)
def test_a_finding_in_full(name: str) -> None:
    """The whole text, as a user reads it."""
    text = render_finding(FULL[name], colour=False, width=88)
    assert text + "\n" == (GOLDEN / f"{name}.txt").read_text("utf-8")


def test_a_finding_live() -> None:
    """The short text, as it appears in the middle of training."""
    assert render_live(STALE, colour=False, width=88) + "\n" == (GOLDEN / "live.txt").read_text("utf-8")


def test_colour_adds_nothing_but_colour() -> None:
    """Without its escape sequences, the coloured text is the plain one."""
    import re

    coloured = render_finding(STALE, colour=True, width=88)
    assert "\x1b[31;1m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == render_finding(STALE, colour=False, width=88)


@pytest.mark.parametrize("width", [40, 60, 120])
def test_lines_keep_to_the_width(width: int) -> None:
    """No line is longer than asked for, however long the names."""
    long = finding(parameters=tuple(f"encoder.layers.{n}.self_attn.in_proj_weight" for n in range(30)))
    assert max(map(len, render_finding(long, colour=False, width=width).splitlines())) <= width


def test_control_characters_never_reach_the_terminal() -> None:
    """Names, sources and messages with escapes are shown, not obeyed."""
    evil = "a\x1b]0;owned\x07\x9b31m\u202e\r\nb"
    roles = (Role(evil, site(4, evil, file=f"/{evil}.py", library=evil)),)
    text = render_finding(
        finding(
            message=evil, fix=evil, parameters=(evil,), roles=roles, evidence={evil: evil}, acknowledged=evil
        ),
        colour=False,
        width=88,
    )
    assert not any(sign in text for sign in "\x1b\x07\x9b\u202e\r")


def test_a_path_beneath_here_is_relative(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files in the working directory are named as the user would type them, others in full."""
    monkeypatch.chdir(tmp_path)
    near = finding(roles=(Role("step", site(5, file=str(tmp_path / "pkg" / "train.py"))),))
    assert "step        pkg/train.py:5 in train" in render_finding(near, colour=False, width=88)
    assert "/home/ada/train.py:5 in train" in render_finding(STALE, colour=False, width=88)


def test_a_trainer_in_between_is_named() -> None:
    """When a library made the call, both its line and the user's are told."""
    via = finding(roles=(Role("step", site(5, library="/lib/trainer.py:120 in fit")),))
    assert "train.py:5 in train, through /lib/trainer.py:120 in fit" in render_finding(
        via, colour=False, width=99
    )


def test_without_source_the_place_is_enough() -> None:
    """A site whose source was not recorded has no empty quote."""
    from graddebug.records import Site

    bare = finding(roles=(Role("step", Site("<stdin>", 3, "<module>")),))
    text = render_finding(bare, colour=False, width=88)
    assert "step        <stdin>:3\n" in text
    assert "│" not in text


def test_an_acknowledged_finding_says_so() -> None:
    """The reason somebody gave stands with the finding."""
    assert "known       momentum on purpose" in render_finding(
        finding(acknowledged="momentum on purpose"), colour=False, width=88
    )


def test_a_headline_names_the_last_line_and_the_count() -> None:
    """One line: severity, rule, where the harm was done, how often."""
    line = "✖ error  GD101 stale-gradient  /home/ada/train.py:5 in train  399 times"
    assert render_headline(STALE, colour=False) == line


def test_a_bare_finding_renders() -> None:
    """A third party's rule may give no lines, parameters or evidence."""
    bare = Finding(
        id="x", rule="X1", slug="x", severity=Severity.NOTE, message="", fix="", first_step=0, last_step=0
    )
    assert render_finding(bare, colour=False, width=88).startswith("● note  X1 x")
    assert render_live(bare, colour=False, width=88).startswith("graddebug: ● note  X1 x, step 0")
