"""`graddebug run` on programs that train: the record, the findings, the exit code."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from graddebug.errors import UsageError
from graddebug.launch import LaunchOptions, launch, prepare_folder, summary
from graddebug.program import Program
from graddebug.trace.reader import Recording
from tests.report.stories import finding
from tests.running import ROOT, environment, graddebug, python, script

TRAINING = """\
import os
import sys
os.environ["OMP_NUM_THREADS"] = "1"
import torch

torch.manual_seed(0)
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(4):
    if "clear" in sys.argv:
        optimizer.zero_grad()
    loss = model(torch.randn(8, 4)).square().mean()
    loss.backward()
    optimizer.step()
print(loss.item().hex(), torch.get_num_threads())
"""
PROGRAM = Program(name="train.py")


def test_a_forgotten_zero_grad_is_told_and_recorded(tmp_path: Path) -> None:
    """The finding is printed live with its lines; the summary names the recording and how to look."""
    script(tmp_path, TRAINING)
    ran = graddebug("run", "-o", "out", "train.py", cwd=tmp_path)
    assert ran.returncode == 0
    assert "✖ error  GD101 stale-gradient, step 1" in ran.stderr
    assert "train.py:13 (backward)  loss.backward()" in ran.stderr
    assert "graddebug: 4 steps recorded, 1 error" in ran.stderr
    assert "look at it: graddebug-tui replay out" in ran.stderr
    assert len(Recording.open(tmp_path / "out")) == 4


def test_training_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    """Loss and number of threads, which the script sets before it imports torch, are as without us."""
    script(tmp_path, TRAINING)
    plain = python("train.py", "clear", cwd=tmp_path)
    ours = graddebug("run", "--fail-on", "note", "train.py", "clear", cwd=tmp_path)
    assert (ours.stdout, ours.returncode) == (plain.stdout, 0)


def test_findings_fail_a_run_on_demand(tmp_path: Path) -> None:
    """--fail-on turns exit code 0 into 1; --quiet leaves out all our lines."""
    script(tmp_path, TRAINING)
    ran = graddebug("run", "--quiet", "--fail-on", "error", "-o", "out", "train.py", cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (1, "")


def test_the_programs_own_code_wins(tmp_path: Path) -> None:
    """A failing script keeps its exit code whatever was found."""
    script(tmp_path, TRAINING + "sys.exit(5)\n")
    ran = graddebug("run", "--fail-on", "note", "-o", "out", "train.py", cwd=tmp_path)
    assert ran.returncode == 5
    assert Recording.open(tmp_path / "out").closed == "finished"


def test_raise_stops_at_the_guilty_line(tmp_path: Path) -> None:
    """--on-finding raise ends the program in the line that steps, and shows no frame of ours."""
    script(tmp_path, TRAINING)
    ran = graddebug("run", "--on-finding", "raise", "-o", "out", "train.py", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "line 14, in <module>\n    optimizer.step()" in ran.stderr
    assert "graddebug/capture" not in ran.stderr
    assert Recording.open(tmp_path / "out").closed == "exception"


def test_an_interrupt_keeps_the_record(tmp_path: Path) -> None:
    """Ctrl-C in the middle of training closes the recording as interrupted."""
    script(tmp_path, TRAINING + "import time\nprint('trained', flush=True)\ntime.sleep(60)\n")
    words = [sys.executable, "-m", "graddebug", "run", "-o", "out", "train.py"]
    with subprocess.Popen(
        words, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() not in ("trained\n", ""):
            pass
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    recording = Recording.open(tmp_path / "out")
    assert (process.returncode, recording.closed, len(recording)) == (-signal.SIGINT, "interrupted", 4)
    assert "graddebug: 4 steps recorded" in told


def test_workers_of_a_loader_are_left_alone(tmp_path: Path) -> None:
    """Spawned and forked workers of a DataLoader run, and only the parent is recorded and summed up."""
    source = """\
import torch
from torch.utils.data import DataLoader, Dataset

class Numbers(Dataset):
    def __len__(self): return 4
    def __getitem__(self, index): return torch.full((4,), float(index))

if __name__ == "__main__":
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for method in ("spawn", "fork"):
        for x in DataLoader(Numbers(), batch_size=2, num_workers=1, multiprocessing_context=method):
            optimizer.zero_grad()
            model(x).mean().backward()
            optimizer.step()
"""
    script(tmp_path, source)
    ran = graddebug("run", "-o", "out", "train.py", cwd=tmp_path, PYTHONWARNINGS="default")
    assert ran.returncode == 0
    assert ran.stderr.count("steps recorded") == 1
    assert len(Recording.open(tmp_path / "out")) == 4


def test_a_forked_child_does_not_end_the_run(tmp_path: Path) -> None:
    """A child that falls off the end of the script leaves recording and summary to its parent."""
    fork = "import os\nchild = os.fork()\nif child:\n    os.waitpid(child, 0)\n"
    script(tmp_path, TRAINING + fork)
    ran = graddebug("run", "-o", "out", "train.py", cwd=tmp_path)
    assert ran.stderr.count("steps recorded") == 1
    assert Recording.open(tmp_path / "out").closed == "finished"


def test_closed_streams_do_not_hurt(tmp_path: Path) -> None:
    """A script that closes its streams ends as it would."""
    script(tmp_path, TRAINING + "sys.stdout.close()\nsys.stderr.close()\n")
    assert graddebug("run", "-o", "out", "train.py", cwd=tmp_path).returncode == 0


def test_a_program_without_torch_leaves_nothing(tmp_path: Path) -> None:
    """Where nothing is to be watched, that is said, and no empty folder stays."""
    script(tmp_path, "print('hello')\n")
    ran = graddebug("run", "train.py", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, "hello\n")
    assert "never imported torch" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]


def test_a_folder_the_program_has_used_stops_no_training(tmp_path: Path) -> None:
    """The script writes into its -o folder before it imports torch: it trains watched, and one line says so."""
    script(tmp_path, "open('out/log.txt', 'w').close()\n" + TRAINING)
    ran = graddebug("run", "-o", "out", "train.py", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, python("train.py", cwd=tmp_path).stdout)
    assert ran.stderr.count("graddebug is not recording: ") == 1
    assert "GD101 stale-gradient, step 1" in ran.stderr
    assert "graddebug: 4 steps watched, 1 error" in ran.stderr
    assert "recording:" not in ran.stderr.partition("4 steps watched")[2]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["log.txt"]


def test_a_missing_package_of_ours_stops_no_training(tmp_path: Path) -> None:
    """Where numpy is missing the program trains unwatched, and one line says why."""
    script(tmp_path, "import sys\nsys.modules['numpy'] = None\n" + TRAINING)
    ran = graddebug("run", "-o", "out", "train.py", cwd=tmp_path, PYTHONWARNINGS="ignore")
    plain = python("train.py", cwd=tmp_path, PYTHONWARNINGS="ignore")
    assert (ran.returncode, ran.stdout) == (0, plain.stdout)
    assert ran.stderr.count("\n") == 1
    assert ran.stderr.startswith("graddebug is not watching: import of numpy halted")
    assert not (tmp_path / "out").exists()


def test_a_working_directory_that_is_gone_is_one_line(tmp_path: Path) -> None:
    """It is wrong usage, told before anything is started."""
    code = "import os; os.rmdir(os.getcwd()); from graddebug.cli import main; raise SystemExit(main())"
    (tmp_path / "gone").mkdir()
    ran = python("-c", code, "run", "train.py", cwd=tmp_path / "gone")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("graddebug: the working directory does not exist any more")
    assert ran.stderr.count("\n") == 1


def test_each_rank_gets_a_recording(tmp_path: Path) -> None:
    """Under torchrun, rank N records into rankN; `check` on the folder above names them."""
    script(tmp_path, TRAINING)
    words = ("run", "--quiet", "-o", "out", "train.py")
    assert graddebug(*words, cwd=tmp_path, RANK="1", WORLD_SIZE="2").returncode == 0
    assert Recording.open(tmp_path / "out" / "rank1").info.rank == 1
    told = graddebug("check", "out", cwd=tmp_path)
    assert told.returncode == 3
    assert "one a rank: name one of them, such as out/rank1" in told.stderr


def test_check_repeats_the_live_verdict(tmp_path: Path) -> None:
    """What was found while training is what `check` finds in the record, and both fail."""
    script(tmp_path, TRAINING)
    graddebug("run", "--quiet", "-o", "out", "train.py", cwd=tmp_path)
    checked = graddebug("check", "out", "--format", "json", cwd=tmp_path)
    (found,) = json.loads(checked.stdout)["findings"]
    live = Recording.open(tmp_path / "out").findings
    assert [(kept.id, kept.count) for kept in live] == [(found["id"], found["count"])]
    assert checked.returncode == 1


# --- the folder -----------------------------------------------------------------------------------


def test_default_folders_never_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs in one second get two folders."""
    monkeypatch.chdir(tmp_path)
    folders = {prepare_folder(PROGRAM, None, {}) for _ in range(3)}
    assert len(folders) == 3
    assert all(folder.name.startswith("train-") for folder in folders)


def test_ranks_share_a_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All ranks of one torchrun record side by side; the next torchrun elsewhere."""
    monkeypatch.chdir(tmp_path)
    ranks = [{"RANK": str(rank), "WORLD_SIZE": "2"} for rank in (0, 1)]
    first = [prepare_folder(PROGRAM, None, rank) for rank in ranks]
    again = [prepare_folder(PROGRAM, None, rank) for rank in ranks]
    assert [folder.name for folder in first] == ["rank0", "rank1"]
    assert len({folder.parent for folder in first}) == len({folder.parent for folder in again}) == 1
    assert first[0].parent != again[0].parent


def test_a_world_of_one_is_no_rank(tmp_path: Path) -> None:
    """A single process under torchrun records straight into its folder."""
    folder = prepare_folder(PROGRAM, str(tmp_path / "out"), {"RANK": "0", "WORLD_SIZE": "1"})
    assert folder == tmp_path / "out"


def test_a_recording_is_never_overwritten(tmp_path: Path) -> None:
    """-o into a folder that holds something is refused before the program starts."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty, and a recording is never overwritten"):
        prepare_folder(PROGRAM, str(tmp_path), {})


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """-o beneath a file is a usage error that says so."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot make the recording's folder"):
        prepare_folder(PROGRAM, str(tmp_path / "file" / "out"), {})


def test_a_missing_script_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is created for a program that is not there."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="No such file or directory"):
        launch(Program(name="nope.py"), LaunchOptions())
    assert list(tmp_path.iterdir()) == []


def test_the_summary_stays_short() -> None:
    """Ten findings are named, the rest counted; a folder with a space is quoted for the shell."""
    lines = summary([finding()] * 12, steps=1, kept=1, folder="my runs/a")
    assert lines[0] == "1 step recorded, 12 errors"
    assert lines[11] == "  and 2 more"
    assert lines[-1] == "  look at it: graddebug-tui replay 'my runs/a'"


def test_a_recording_that_ended_early_is_not_called_whole(tmp_path: Path) -> None:
    """The disk fills up while training: one line says so, and the summary counts what was kept."""
    limit = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000))\n"
    script(tmp_path, TRAINING.replace("torch.manual_seed(0)\n", limit))
    ran = graddebug("run", "-o", "out", "train.py", "clear", cwd=tmp_path)
    assert (ran.returncode, ran.stderr.count("graddebug stopped recording: ")) == (0, 1)
    assert "graddebug: 4 steps watched, 0 of them recorded, no findings" in ran.stderr


def test_a_recording_the_program_removed_is_not_shown(tmp_path: Path) -> None:
    """Nobody is sent to look at a folder that is gone."""
    script(tmp_path, TRAINING + "import shutil\nshutil.rmtree('out')\n")
    ran = graddebug("run", "-o", "out", "train.py", "clear", cwd=tmp_path)
    assert ran.returncode == 0
    assert "graddebug: 4 steps watched, no findings" in ran.stderr
    assert "look at it" not in ran.stderr


def test_threads_that_train_at_the_same_time(tmp_path: Path) -> None:
    """No thread reads a gradient that another one is replacing: torch would crash the process."""
    program = ROOT / "tests/corpus/correct/threads.py"
    ran = graddebug("run", "-o", tmp_path / "run", program, cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, "")
    assert "no findings" in ran.stderr
