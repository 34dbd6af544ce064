import os
import subprocess
import sys
from pathlib import Path

import pytest
from graddebug_tui.cli import main

from tests.running import environment
from tests.views.recordings import write


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("runs") / "run", steps=20)


def test_without_a_terminal_the_text_twin_is_printed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe, the same facts come as text."""
    assert main(["replay", str(run)]) == 0
    said = capsys.readouterr()
    assert "▶ 13 │     loss.backward()  ◀ backward" in said.out
    assert said.err == ""


def test_an_unreadable_recording_is_one_line_and_exit_code_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, nothing on stdout."""
    assert main(["replay", str(tmp_path / "none")]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("graddebug-tui: ")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["replay"], ["dance"], ["replay", "x", "--size", "9x9"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Argparse says what it expected."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "usage: graddebug-tui" in capsys.readouterr().err


def test_an_unknown_step_is_wrong_usage(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The twin says which steps there are."""
    assert main(["replay", str(run), "--step", "99"]) == 2
    assert "it holds 0 to 19" in capsys.readouterr().err


@pytest.mark.parametrize("screen", ["findings", "parameters", "life", "graph", "precision"])
def test_a_screenshot_is_the_screen_as_svg(run: Path, tmp_path: Path, screen: str) -> None:
    """Pictures are made by the app itself, without a terminal."""
    file = tmp_path / "shot.svg"
    assert main(["replay", str(run), "--screen", screen, "--screenshot", str(file), "--size", "100x30"]) == 0
    text = file.read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert screen.title() in text


def test_a_screenshot_that_cannot_be_written_is_wrong_usage(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is missing, and the message says so."""
    assert main(["replay", str(run), "--screenshot", str(tmp_path / "no" / "shot.svg")]) == 2
    assert "cannot write the picture" in capsys.readouterr().err


def test_looking_leaves_the_recording_as_it_was(run: Path) -> None:
    """Not a byte, not a file, is written into it."""
    before = {file: file.stat().st_mtime_ns for file in run.rglob("*")}
    main(["replay", str(run)])
    assert {file: file.stat().st_mtime_ns for file in run.rglob("*")} == before


def _loaded(statement: str, module: str) -> bool:
    code = f"import sys; {statement}; print({module!r} in sys.modules)"
    path = f"import sys; sys.path[:0] = {sys.path!r}; "
    done = subprocess.run([sys.executable, "-c", path + code], capture_output=True, text=True, check=True)
    return done.stdout.strip() == "True"


def test_the_app_does_not_import_torch() -> None:
    """Recordings can be looked at where torch is not installed."""
    assert not _loaded("import graddebug_tui.app, graddebug_tui.cli, graddebug.report.show", "torch")


def test_the_text_twin_does_not_import_textual() -> None:
    """``graddebug show`` works without the terminal UI's packages."""
    assert not _loaded("import graddebug.report.show", "textual")


def test_an_import_would_be_noticed() -> None:
    """The two checks above can fail: torch and textual are there to be found."""
    assert _loaded("import torch", "torch")
    assert _loaded("import graddebug_tui.app", "textual")


def test_a_dumb_terminal_gets_the_text_twin(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """TERM=dumb cannot place a cursor, terminal or not."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert main(["replay", str(run)]) == 0
    assert "Findings: ✖ 1 error" in capsys.readouterr().out


def test_a_closed_pipe_ends_it_without_a_word(run: Path) -> None:
    """``graddebug-tui replay RUN | head -1`` leaves no traceback."""
    words = [sys.executable, "-m", "graddebug_tui.cli", "replay", str(run)]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, env=environment(), check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
