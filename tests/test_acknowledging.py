"""Saying "I know": in the call, on the line, in pyproject.toml, by flags, by a baseline; live and afterwards."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import graddebug
from graddebug import FindingRaised, UsageError
from graddebug.cli import main
from graddebug.commands.check import judge
from graddebug.trace.reader import Recording
from tests.capture.observing import mlp
from tests.running import graddebug as graddebug_
from tests.running import python, script
from tests.views.recordings import recorded

LOOP = """\
import torch

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(4):
    loss = model(torch.randn(8, 4)).square().mean()
    loss.backward()
    optimizer.step()
"""
RIGHT = LOOP.replace("    loss.backward()", "    optimizer.zero_grad()\n    loss.backward()")


def on_the_line(comment: str, source: str = LOOP, line: str = "optimizer.step()") -> str:
    return source.replace(line, f"{line}  # {comment}")


def forgetful(net: nn.Module, opt: torch.optim.Optimizer) -> None:
    """A loop without zero_grad."""
    for _ in range(3):
        loss: Any = net(torch.ones(2, 4)).square().mean()
        loss.backward()
        opt.step()


def parts() -> tuple[nn.Module, torch.optim.Optimizer]:
    net = mlp(4, 3, 2)
    return net, torch.optim.SGD(net.parameters(), lr=0.1)


# --- in the call ------------------------------------------------------------------------------------


def test_the_call_acknowledges(capsys: pytest.CaptureFixture[str]) -> None:
    """The finding is there, marked, and nothing is printed."""
    net, opt = parts()
    ignore = [{"rule": "GD101", "params": "*", "reason": "momentum in .grad"}]
    with graddebug.watch(net, opt, ignore=ignore) as run:
        forgetful(net, opt)
    (finding,) = run.findings
    assert (finding.rule, finding.acknowledged) == ("GD101", "momentum in .grad")
    assert finding.acknowledged_by == "watch()"
    assert capsys.readouterr().err == ""


def test_what_is_acknowledged_does_not_raise() -> None:
    """What is not, does."""
    net, opt = parts()
    with graddebug.watch(net, opt, on_finding="raise", ignore=["GD101"]):
        forgetful(net, opt)
    with pytest.raises(FindingRaised), graddebug.watch(net, opt, on_finding="raise", ignore=["GD102"]):
        forgetful(net, opt)


def test_a_comment_where_the_line_runs() -> None:
    """Of this very file; another line with the same bug raises."""
    net, opt = parts()
    with graddebug.watch(net, opt, on_finding="raise"):
        for _ in range(3):
            net(torch.ones(2, 4)).sum().backward()
            opt.step()  # graddebug: ignore[GD101] a test
    with pytest.raises(FindingRaised), graddebug.watch(net, opt, on_finding="raise"):
        forgetful(net, opt)


def test_no_source_is_read_without_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not while training runs: only at a finding, and at the end."""
    read: list[str] = []

    def reading(_lines: object, *, file: str, rules: object) -> list[object]:
        read.append(file)
        return []

    monkeypatch.setattr("graddebug.known.live.acknowledgements_in", reading)
    net, opt = parts()
    with graddebug.watch(net, opt, on_finding="silent"):
        for _ in range(3):
            opt.zero_grad()
            net(torch.ones(2, 4)).sum().backward()
            opt.step()
        assert read == []
        forgetful(net, opt)
        assert read == [__file__]


def test_options_set_thresholds() -> None:
    """What takes 20 windows takes 3."""

    def findings(**fields: Any) -> list[str]:
        net, idle = nn.Linear(4, 2), nn.Linear(4, 2)
        opt = torch.optim.SGD([*net.parameters(), *idle.parameters()], lr=0.1)
        with graddebug.watch(net, idle, opt, on_finding="silent", **fields) as run:
            for _ in range(5):
                opt.zero_grad()
                (net(torch.ones(1, 4)) + idle(torch.ones(1, 4)).detach()).sum().backward()
                opt.step()
            return [finding.rule for finding in run.findings]

    assert findings(options={"GD204": {"windows": 3}}) == ["GD204"]
    assert findings() == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"ignore": ["GD999"]}, "there is no rule 'GD999'"),
        ({"ignore": "GD101"}, "expected a list"),
        ({"options": {"GD204": {"window": 3}}}, "GD204 has no option 'window'; its options are: windows, "),
        ({"options": {"GD204": {"windows": 0}}}, "a whole number from 1 on, not 0"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(fields: Any, told: str) -> None:
    """Before anything is watched."""
    with pytest.raises(UsageError, match=told):
        graddebug.watch(**fields)


def test_the_record_says_the_same(tmp_path: Path) -> None:
    """Findings with their marks, thresholds, and what is stale: live and on replay."""
    net, opt = parts()
    ignore: list[Any] = [{"rule": "GD101", "params": "*", "reason": "known"}, "GD104"]
    options = {"GD204": {"windows": 3}}
    with graddebug.watch(
        net, opt, nn.Linear(1, 1), out=tmp_path / "run", on_finding="silent", ignore=ignore, options=options
    ) as run:
        forgetful(net, opt)
    replayed = judge(Recording.open(tmp_path / "run")).findings
    assert sorted(replayed, key=lambda f: f.id) == sorted(run.findings, key=lambda f: f.id)
    assert {f.rule: f.acknowledged is None for f in replayed} == {"GD101": False, "GD001": True}
    assert run.recording.info.options == options
    assert {f.id: f for f in run.recording.findings} == {f.id: f for f in run.findings}


def test_a_killed_run_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    """It is written when it is known: at the start, and with the first finding in a file."""
    net, opt = parts()
    with graddebug.watch(net, opt, out=tmp_path / "run", ignore=["GD106"], on_finding="silent") as run:
        assert [entry.rules for entry in run.recording.acknowledgements] == [("GD106",)]
        for _ in range(3):
            net(torch.ones(2, 4)).sum().backward()
            opt.step()  # graddebug: ignore[GD101] a test
        judged = judge(run.recording).findings
    assert [(one.rule, one.acknowledged) for one in judged] == [("GD101", "a test")]


# --- with a program ---------------------------------------------------------------------------------


def ran(folder: Path, source: str, *, out: str = "run", **fields: Any) -> graddebug.Run:
    """A program under a watch in this process; its project is that of the working directory."""
    path = script(folder, source)
    with graddebug.watch(out=folder / out, **fields) as run:
        runpy.run_path(str(path), run_name="__main__")
    return run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, and the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


Captured = pytest.CaptureFixture[str]


def checked(capsys: Captured, *flags: str, out: str = "run") -> tuple[int, list[dict[str, Any]]]:
    """Exit code and findings of `graddebug check`."""
    capsys.readouterr()
    code = main(["check", out, "--format", "json", "--fail-on", "note", *flags])
    return code, json.loads(capsys.readouterr().out)["findings"]


def configured(folder: Path, *lines: str) -> Path:
    """The project's file."""
    return script(folder, "\n".join(["[tool.graddebug]", *lines, ""]), name="pyproject.toml")


WAYS = {
    "step": (on_the_line("graddebug: ignore[GD101] why"), ""),
    "backward": (on_the_line("graddebug: ignore[GD101] why", line="loss.backward()"), ""),
    "file": (LOOP, 'ignore = [{rule = "GD101", reason = "why"}]'),
    "place": (LOOP, 'ignore = [{rule = "GD101", at = "train.py:9", reason = "why"}]'),
    "parameters": (LOOP, 'ignore = [{rule = "GD101", params = "*.*", reason = "why"}]'),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_holds_live_and_in_the_record(project: Path, capsys: Captured, way: str) -> None:
    """Nothing is printed, nothing fails; `check` says the same, and why, without the file."""
    source, line = WAYS[way]
    file = configured(project, line)
    ran(project, source)
    assert capsys.readouterr().err == ""
    file.unlink()
    code, (finding,) = checked(capsys)
    assert (code, finding["rule"], finding["acknowledged"]) == (0, "GD101", "why")
    assert finding["acknowledged_by"].split()[0] in ("comment", "pyproject.toml")


STALE = {
    "line": (on_the_line("graddebug: ignore[GD101]", RIGHT), "", "The comment acknowledges GD101, and"),
    "op": (
        on_the_line("graddebug: ignore[GD501]", RIGHT, ".square().mean()"),
        "",
        "The comment acknowledges GD501, and",
    ),
    "file": (RIGHT, "ignore = ['GD101', 'GD106']", "pyproject.toml acknowledges GD101; GD106, and"),
}


@pytest.mark.parametrize("way", STALE)
def test_what_acknowledges_nothing_is_a_note_at_the_end(project: Path, capsys: Captured, way: str) -> None:
    """Live and in the record; one finding for each place."""
    source, line, message = STALE[way]
    configured(project, line)
    ran(project, source)
    assert "● note  GD001 stale-acknowledgement" in capsys.readouterr().err
    code, (finding,) = checked(capsys)
    assert (code, finding["rule"], finding["severity"]) == (1, "GD001", "note")
    assert finding["message"].startswith(message)


def test_a_line_that_never_ran_is_not_stale(project: Path, capsys: Captured) -> None:
    """Nothing was judged there."""
    ran(project, RIGHT + "if not model:\n    optimizer.step()  # graddebug: ignore[GD101]\n")
    assert checked(capsys) == (0, [])


def test_a_comment_with_a_slip_is_told_and_the_finding_stays(project: Path, capsys: Captured) -> None:
    """Once, with its line and what was probably meant."""
    ran(project, on_the_line("graddebug: ignore[gd101] why"))
    told = capsys.readouterr().err
    assert "✖ error  GD101 stale-gradient, step 1" in told
    assert told.count("there is no rule 'gd101': did you mean GD101?") == 1
    assert sorted(finding["rule"] for finding in checked(capsys)[1]) == ["GD002", "GD101"]


def test_findings_of_the_rule_at_other_lines_stay_open(project: Path) -> None:
    """One loop is known, the next is not."""
    more = LOOP.partition("(0)\n")[2].replace("range(4)", "range(5)")
    run = ran(project, on_the_line("graddebug: ignore[GD101] why") + more, on_finding="silent")
    assert [finding.acknowledged for finding in run.findings] == ["why", None]


def test_check_acknowledges_further(project: Path, capsys: Captured) -> None:
    """By flag, and by the project's file as it is now; nothing of it is written into the record."""
    ran(project, LOOP)
    assert checked(capsys)[0] == 1
    assert checked(capsys, "--ignore", "GD101")[0] == 0
    configured(project, "ignore = ['GD101']")
    assert checked(capsys)[0] == 0
    ran(project, LOOP, out="again")
    file = configured(project, "ignore = []")
    assert checked(capsys, out="again")[0] == 1
    file.unlink()
    assert checked(capsys, out="again")[0] == 0
    assert checked(capsys)[0] == 1


def test_a_baseline_takes_what_is_there_and_fails_on_what_is_new(project: Path, capsys: Captured) -> None:
    """Also when lines move; what is gone is told, and the file is written anew."""
    ran(project, LOOP)
    assert checked(capsys, "--write-baseline", "known.json")[0] == 0
    moved = LOOP.replace("torch.manual_seed(0)\n", "torch.manual_seed(0)\n\n\n")
    ran(project, moved, out="moved")
    code, (finding,) = checked(capsys, "--baseline", "known.json", out="moved")
    assert (code, finding["acknowledged_by"]) == (0, "baseline known.json")
    ran(project, moved + moved.partition("\n\n\n")[2].replace("optimizer", "opt"), out="more")
    code, findings = checked(capsys, "--baseline", "known.json", out="more")
    assert (code, [one["acknowledged"] is None for one in findings]) == (1, [True, False])
    ran(project, RIGHT, out="right")
    code, (finding,) = checked(capsys, "--baseline", "known.json", out="right")
    assert (code, finding["rule"]) == (1, "GD001")
    assert checked(capsys, "--baseline", "known.json", "--ignore", "GD001", out="right")[0] == 0
    assert checked(capsys, "--write-baseline", "known.json", out="right") == (0, [])


CUT_OFF = RIGHT.replace(
    "model(torch.randn(8, 4))", "(model(torch.randn(8, 4)) + cut(torch.ones(1, 4)).detach())"
).replace(
    "optimizer = torch.optim.SGD(model.parameters(), ",
    "cut = torch.nn.Linear(4, 1)\noptimizer = torch.optim.SGD([*model.parameters(), *cut.parameters()], ",
)


def test_thresholds_hold_live_and_in_the_record(project: Path, capsys: Captured) -> None:
    """Those of the run, and over them those of whoever checks."""
    file = configured(project, "[tool.graddebug.options.GD204]", "windows_at_end = 9")
    assert ran(project, CUT_OFF).findings == []
    file.unlink()
    assert checked(capsys) == (0, [])
    code, (finding,) = checked(capsys, "--option", "GD204.windows_at_end=3")
    assert (code, finding["rule"]) == (1, "GD204")


# --- as a user starts it ----------------------------------------------------------------------------


def test_a_run_counts_what_is_known_and_check_shows_it_when_asked(tmp_path: Path) -> None:
    """One line; in full under --verbose, with who said so."""
    script(tmp_path, on_the_line("graddebug: ignore[GD101] why"))
    told = graddebug_("run", "-o", "run", "--fail-on", "note", "train.py", cwd=tmp_path)
    assert told.returncode == 0
    assert told.stderr.splitlines()[0] == "graddebug: 4 steps recorded, no findings, 1 acknowledged"
    text = graddebug_("check", "run", cwd=tmp_path).stdout
    assert "GD101" not in text
    assert "No findings, 1 acknowledged in 4 steps (--verbose shows what is acknowledged)" in text
    verbose = graddebug_("check", "run", "--verbose", cwd=tmp_path).stdout
    assert "✖ error  GD101 stale-gradient (acknowledged)" in verbose
    assert "known       why (comment train.py:9)" in verbose


def test_flags_of_a_run(tmp_path: Path) -> None:
    """An exception ends the run before anything could be called stale."""
    script(tmp_path, CUT_OFF.replace("range(4)", "range(6)") + "raise ValueError\n")
    flags = ("--ignore", "GD204,GD101", "--option", "GD204.windows=4")
    told = graddebug_("run", "-o", "run", *flags, "train.py", cwd=tmp_path).stderr
    assert "graddebug: 6 steps recorded, no findings, 1 acknowledged" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--ignore", "GD999", "train.py"], "graddebug: --ignore: there is no rule 'GD999'"),
        (["run", "--option", "GD204=3", "train.py"], "graddebug: --option: expected CODE.NAME=NUMBER"),
        (
            ["check", "run", "--ignore", "GD1O1"],
            "graddebug: --ignore: there is no rule 'GD1O1': did you mean GD101",
        ),
        (
            ["check", "run", "--option", "GD204.window=3"],
            "GD204 has no option 'window'; its options are: windows, ",
        ),
        (["check", "run", "--baseline", "no.json"], "graddebug: cannot read the baseline no.json: "),
    ],
)
def test_flags_that_make_no_sense_are_usage_errors(tmp_path: Path, words: list[str], told: str) -> None:
    """One line, exit code 2, and the program does not begin."""
    script(tmp_path, "print('ran')\n")
    recorded(tmp_path / "run", steps=2)
    answer = graddebug_(*words, cwd=tmp_path)
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (2, "", 1)
    assert told in answer.stderr


def test_a_wrong_file_is_a_usage_error_too(tmp_path: Path) -> None:
    """With its path and key, before the program begins."""
    script(tmp_path, "print('ran')\n")
    path = configured(tmp_path, "[tool.graddebug.options.GD204]", "window = 3")
    answer = graddebug_("run", "train.py", cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith(f"graddebug: {path}: [tool.graddebug] options.GD204: GD204 has no option")


def test_the_project_is_the_programs_own(tmp_path: Path) -> None:
    """Looked for beside the script, wherever it is started; also by a `watch` in a script."""
    (tmp_path / "project" / "src").mkdir(parents=True)
    configured(tmp_path / "project", "ignore = ['GD101']")
    script(tmp_path, LOOP, name="project/src/train.py")
    told = graddebug_("run", "-o", "out", "project/src/train.py", cwd=tmp_path)
    assert "no findings, 1 acknowledged" in told.stderr
    watched = "import graddebug\nwith graddebug.watch():\n" + "\n".join(
        f"    {line}" for line in LOOP.splitlines()
    )
    script(tmp_path, watched, name="project/src/watched.py")
    assert python("project/src/watched.py", cwd=tmp_path).stderr == ""


def test_a_program_loads_numpy_itself_also_with_a_configuration(tmp_path: Path) -> None:
    """It may set variables first that numpy reads once."""
    configured(tmp_path, "ignore = ['GD101']")
    script(tmp_path, "import sys\nprint('numpy' in sys.modules)\n")
    assert graddebug_("run", "--quiet", "--ignore", "GD102", "train.py", cwd=tmp_path).stdout == "False\n"
