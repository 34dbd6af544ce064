"""What a stream can show."""

from __future__ import annotations

import io
from typing import TextIO, cast

import pytest

from graddebug.report.terminal import emit, encodable, paint, terminal_width, wants_colour


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"CI": "true"}, False),
        ({"TERM": "dumb"}, False),
        ({"CI": "true", "FORCE_COLOR": "1"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_on_a_terminal(variables: dict[str, str], coloured: bool) -> None:
    """The variables that terminals and CI systems agree on are honoured."""
    assert wants_colour(Terminal(), variables) is coloured


def test_no_colour_elsewhere() -> None:
    """Files, closed streams and missing streams get none, unless it is forced."""
    closed = Terminal()
    closed.close()
    assert [wants_colour(stream, {}) for stream in (io.StringIO(), closed, None)] == [False] * 3
    assert wants_colour(io.StringIO(), {"FORCE_COLOR": "1"})
    assert not wants_colour(io.StringIO(), {"FORCE_COLOR": "0"})


@pytest.mark.parametrize(("columns", "width"), [("72", 72), ("10", 40), ("400", 120), ("junk", 88)])
def test_width_follows_columns(monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
    """COLUMNS is honoured within reason."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("sys.__stdout__", None)
    assert terminal_width() == width


def test_a_poor_encoding_loses_no_text() -> None:
    """Signs of ours become ASCII, others their escapes."""
    assert encodable("✖ größe │ 漢", "ascii") == "x gr\\xf6\\xdfe | \\u6f22"
    assert encodable("✖ größe", "utf-8") == "✖ größe"
    assert encodable("▁▂▃▄▅▆▇█! · ✔", "ascii") == "_.-:=+*#! . v"


def test_emit_writes_a_line_at_once() -> None:
    """Text goes out with its newline, through the stream's own encoding; no stream, no error."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    emit("▲ hm", stream)
    assert raw.getvalue() == b"! hm\n"


def test_paint_needs_colour() -> None:
    """Styles appear only with colour on."""
    assert paint("x", "red", "bold", colour=True) == "\x1b[31;1mx\x1b[0m"
    assert paint("x", "red", colour=False) == "x"


class Tee:
    """What many a program puts in place of `sys.stderr`."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


def test_a_stream_of_the_programs_own_may_know_little() -> None:
    """An object with no more than `write` is written to, in any character and without colour."""
    stream = cast("TextIO", tee := Tee())
    emit("▲ hm", stream)
    assert tee.text == "▲ hm\n"
    assert not wants_colour(stream, {})
