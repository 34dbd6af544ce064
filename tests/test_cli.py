"""The `graddebug` command as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from graddebug import __version__
from graddebug.cli import COMMANDS, main
from tests.running import ROOT, environment, graddebug, python, script
from tests.views.recordings import recorded

Captured = pytest.CaptureFixture[str]
LOADED = "import sys; from graddebug.cli import main; main({words}); print('torch' in sys.modules)"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A recording of the run that forgets zero_grad."""
    recorded(tmp_path / "run")
    return tmp_path / "run"


def test_alone_it_prints_help_and_is_a_usage_error(capsys: Captured) -> None:
    """In a script, a missing command is a lost argument; the help still shows what there is."""
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert all(name in err for name in COMMANDS)


@pytest.mark.parametrize("words", [["--help"], *[[name, "--help"] for name in COMMANDS]])
def test_help_is_data(words: list[str], capsys: Captured) -> None:
    """--help goes to standard output and ends well."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: graddebug")


def test_version(capsys: Captured) -> None:
    """--version names the package and its version."""
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"graddebug {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [["chekc"], ["check"], ["check", "x", "--format", "xml"], ["check", "x", "--fail", "note"], ["--no"]],
)
def test_bad_usage_is_2(words: list[str], capsys: Captured) -> None:
    """Unknown commands and options, missing arguments and abbreviations are refused."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: graddebug")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run"], "nothing to run"),
        (["run", "nope.py"], "can't open file"),
        (["run", "-m", "no_such_module_here"], "No module named no_such_module_here"),
        (["run", "empty"], "can't find '__main__' module in"),
        (["run", "-o", "full", "train.py"], "is not empty, and a recording is never overwritten"),
        (["run", "-o", "train.py/out", "train.py"], "cannot make the recording's folder"),
        (["rules", "GD1O1"], "did you mean GD101 stale-gradient"),
    ],
)
def test_a_mistake_gets_one_line(tmp_path: Path, words: list[str], told: str) -> None:
    """Each ends with 2 and one clear line, and leaves the folder as it was."""
    script(tmp_path, "print('ran')\n")
    script(tmp_path, "", name="full/file")
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    ran = graddebug(*words, cwd=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert ran.stderr.startswith("graddebug: ")
    assert told in ran.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", ["check", "show"])
@pytest.mark.parametrize("damage", ["missing", "file", "foreign", "newer"])
def test_an_unreadable_recording_is_3(recording: Path, capsys: Captured, command: str, damage: str) -> None:
    """What is no recording, or not one of ours to read, gets one line and its own exit code."""
    named = {"missing": recording / "no", "file": recording / "run.json", "foreign": recording / "empty"}
    (recording / "empty").mkdir()
    if damage == "newer":
        head = recording / "run.json"
        head.write_text(head.read_text().replace('"graddebug_trace":1', '"graddebug_trace":999'))
    assert main([command, str(named.get(damage, recording))]) == 3
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


def test_check_tells_and_fails(recording: Path, capsys: Captured) -> None:
    """An error is told in full, counted at the end, and fails by default."""
    assert main(["check", str(recording)]) == 1
    out, err = capsys.readouterr()
    assert "✖ error  GD101 stale-gradient" in out
    assert "│ " in out
    assert " error" in out.splitlines()[-1]
    assert err == ""


@pytest.mark.parametrize(("least", "code"), [("error", 1), ("note", 1), ("never", 0)])
def test_fail_on_sets_the_bar(recording: Path, least: str, code: int) -> None:
    """--fail-on names the least severity that fails."""
    assert main(["check", str(recording), "--fail-on", least]) == code


def test_check_as_json(recording: Path, capsys: Captured) -> None:
    """The document has the promised keys and says which recording it is about."""
    main(["check", str(recording), "--format", "json"])
    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["version", "run", "steps", "findings", "not_observable", "rules"]
    assert document["run"]["folder"] == str(recording)
    assert document["findings"][0]["rule"] == "GD101"


def test_a_cut_recording_says_so(recording: Path, capsys: Captured) -> None:
    """A recording whose end is lost is judged up to its last whole step, and that is told."""
    steps = recording / "rank00000" / "steps.bin"
    steps.write_bytes(steps.read_bytes()[:-5])
    main(["check", str(recording)])
    text = capsys.readouterr().out
    main(["check", str(recording), "--format", "json"])
    told = json.loads(capsys.readouterr().out)["run"]
    assert told["cut"]
    assert told["cut"] in " ".join(text.split())


def test_show_prints_the_overview_and_a_step(recording: Path, capsys: Captured) -> None:
    """The text twin of the terminal UI, whole, for a step and for parameters."""
    assert main(["show", str(recording)]) == 0
    overview = capsys.readouterr().out
    assert main(["show", str(recording), "--step", "1"]) == 0
    assert main(["show", str(recording), "--parameter", "encoder.*"]) == 0
    assert "encoder.0.weight" in overview
    assert capsys.readouterr().out != overview


def test_show_as_json(recording: Path, capsys: Captured) -> None:
    """The same as one JSON object."""
    assert main(["show", str(recording), "--format", "json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)


def test_show_of_precision(recording: Path, capsys: Captured) -> None:
    """A word after the folder, as text and as JSON; a parameter has no place there."""
    assert main(["show", str(recording), "precision"]) == 0
    assert "no loss scaler was used" in capsys.readouterr().out
    assert main(["show", str(recording), "precision", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["scalers"] == []
    assert main(["show", str(recording), "precision", "--parameter", "x"]) == 2


def test_show_of_a_step_that_is_not_there_is_2(recording: Path, capsys: Captured) -> None:
    """A wrong step is a usage error that names those there are."""
    assert main(["show", str(recording), "--step", "999999"]) == 2
    assert "it holds" in capsys.readouterr().err


def test_rules_lists_and_explains(capsys: Captured) -> None:
    """All rules in a table; one on its page."""
    assert main(["rules"]) == 0
    assert "GD101  stale-gradient" in capsys.readouterr().out
    assert main(["rules", "stale-gradient"]) == 0
    assert capsys.readouterr().out.startswith("GD101 stale-gradient (error)\n")


def test_doctor_names_versions(tmp_path: Path) -> None:
    """What is installed, whether torch can be watched, what the output is."""
    ran = graddebug("doctor", cwd=tmp_path)
    assert ran.returncode == 0
    assert [line.split()[0] for line in ran.stdout.splitlines()] == [
        "graddebug", "python", "numpy", "networkx", "textual", "torch", "output",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "words", [["rules"], ["check", "run"], ["show", "run"], ["run", "--quiet", "hello.py"]]
)
def test_reading_does_not_load_torch(recording: Path, words: list[str]) -> None:
    """Judging and showing a recording work where torch is absent or slow to load."""
    script(recording.parent, "", name="hello.py")
    ran = python("-c", LOADED.format(words=words), cwd=recording.parent)
    assert ran.stdout.splitlines()[-1] == "False"


def test_the_check_for_torch_can_fail(tmp_path: Path) -> None:
    """The same check sees torch when a command does load it."""
    ran = python("-c", LOADED.format(words=["doctor"]), cwd=tmp_path)
    assert ran.stdout.splitlines()[-1] == "True"


def test_a_closed_pipe_is_quiet(recording: Path) -> None:
    """`graddebug check RUN | head -1` prints no traceback."""
    ours = f"{sys.executable} -m graddebug"
    command = f"{ours} rules | true; {ours} check {recording} | head -1"
    ran = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert ran.stderr == ""
