"""Training programs as people write them, run as a user would: what is wrong is found, what is right stays silent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from corpus_programs import Answer, Program, ask, faults, programs, read
from forked import Finished, Forked

from graddebug.capture import underscored
from graddebug.diagnose.registry import all_rules
from tests.older_torch import PROGRAMS_THAT_NEED_SAVED
from tests.running import graddebug

BUGGY, CORRECT = programs("buggy"), programs("correct")
EACH = {f"{one.path.parent.name}-{one.name}": one for one in (*BUGGY, *CORRECT)}
#: Programs of different kinds, which are run through the real command line too.
_TO_COMPARE = ("buggy-zero_grad_missing", "buggy-scale_collapse", "correct-lbfgs", "correct-checkpointed")
#: What differs between two runs of one program: when, where, and how long.
_TIMES = re.compile(r"\d{4}-\d\d-\d\d\S*|graddebug-runs/\S+|/\S*recording\S*")


#: What looks wrong and is right: each is shown by a correct program.
PATTERNS = (
    "GAN",
    "accumulation",
    "acting under grad mode",
    "actor and critic",
    "adapters",
    "all targets ignored",
    "averaged weights",
    "bfloat16",
    "checkpointing",
    "clearing after the step",
    "clearing by state",
    "clip under a scaler",
    "double backward",
    "dropout at inference",
    "epochs over one rollout",
    "exact zeros",
    "flat gradient buffer",
    "frozen backbone",
    "full batch",
    "fused under a scaler",
    "gradient as memory",
    "gradient cache",
    "gradient surgery",
    "groups added later",
    "growing scale",
    "huge first steps",
    "input gradients",
    "layer-local training",
    "learned loss weights",
    "learning-rate finder",
    "line search",
    "many models",
    "meta-learning",
    "no optimizer",
    "no_sync",
    "noise on gradients",
    "one forward for two losses",
    "one scaler for several optimizers",
    "optimizer in backward",
    "scaler disabled",
    "schedule near zero",
    "several backwards, one step",
    "several threads",
    "sharpness-aware minimisation",
    "skip on NaN",
    "skipped steps",
    "sparse activation",
    "stop-gradient",
    "straight-through",
    "target network",
    "targets in large units",
    "teacher",
    "tied weights",
    "training in eval mode",
    "truncated backpropagation",
    "varying accumulation",
)


@pytest.fixture(scope="session")
def forked() -> Iterator[Forked]:
    """One server for the programs of this worker."""
    with Forked() as server:
        yield server


@pytest.mark.parametrize("program", EACH.values(), ids=EACH)
def test_the_header_is_kept(program: Program, tmp_path: Path, forked: Forked) -> None:
    """The named rules at the marked lines and no other alarm; the recording says what the run said."""
    if program.name in PROGRAMS_THAT_NEED_SAVED and program.buggy and not underscored.SAVED_READABLE:
        pytest.skip("this torch does not show what nodes save")
    assert faults(program, ask(program.path, folder=tmp_path, forked=forked)) == []


@pytest.mark.parametrize("name", _TO_COMPARE)
def test_a_forked_run_is_a_real_one(name: str, tmp_path: Path, forked: Forked) -> None:
    """The same exit code, output and findings as from the command line in a fresh process."""
    path = EACH[name].path
    (tmp_path / "forked").mkdir()
    answer = ask(path, folder=tmp_path / "forked", forked=forked)
    ran = graddebug("run", "-o", tmp_path / "recording", path, cwd=tmp_path, PYTHONWARNINGS="default")
    checked = graddebug("check", "--format", "json", tmp_path / "recording", cwd=tmp_path)
    told = [(one["id"], one["count"], one["message"]) for one in json.loads(checked.stdout)["findings"]]
    assert told == [(one["id"], one["count"], one["message"]) for one in answer.checked]
    assert (ran.returncode, ran.stdout) == (answer.ran.code, answer.ran.stdout)
    assert _TIMES.sub("…", ran.stderr) == _TIMES.sub("…", answer.ran.stderr)


@pytest.mark.parametrize("program", EACH.values(), ids=EACH)
def test_programs_are_plain_pytorch(program: Program) -> None:
    """`graddebug run` needs no change to the code."""
    assert not re.search(
        r"^\s*(import|from) graddebug", program.path.read_text(encoding="utf-8"), re.MULTILINE
    )


@pytest.mark.parametrize("program", BUGGY, ids=lambda program: program.name)
def test_a_buggy_program_has_a_correct_twin(program: Program) -> None:
    """Of the same name, and with a header that promises nothing."""
    assert program.codes
    assert read(program.twin).codes == ()
    assert read(program.twin).header.startswith("Right: ")


def test_each_rule_is_proven_twice() -> None:
    """By at least two buggy programs."""
    named = [code for program in BUGGY for code in program.codes]
    assert [code for code in all_rules() if named.count(code) < 2] == []


def test_each_known_correct_pattern_is_shown() -> None:
    """Programs name the patterns they show; no pattern is without one, no name is unknown."""
    assert {pattern for program in CORRECT for pattern in program.patterns} == set(PATTERNS)


# --- the check itself ------------------------------------------------------------------------


def _program(folder: Path, source: str) -> Program:
    (folder / "buggy").mkdir()
    path = folder / "buggy" / "some.py"
    path.write_text(source)
    return read(path)


def _answer(program: Program, **changes: object) -> Answer:
    finding = {
        "id": "1",
        "rule": "GD101",
        "severity": "error",
        "message": "",
        "parameters": ["0.weight", "0.bias"],
        "sites": [{"role": "step", "file": str(program.path), "line": 3}],
        **changes,
    }
    return Answer(Finished(0, "", ""), (finding,), (finding,))


_SOURCE = '"""GD101: not cleared.\n\nParameters: 0.*\n"""\nstep()  # step\n'


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"rule": "GD102"}, "GD101 is found 0 times"),
        ({"parameters": ["1.weight"]}, "parameters are"),
        ({"sites": []}, "marked are"),
    ],
)
def test_a_broken_promise_is_seen(tmp_path: Path, changes: dict[str, object], fault: str | None) -> None:
    """A missing rule, wrong parameters, wrong lines."""
    program = _program(tmp_path, _SOURCE)
    line = program.marked["step"]
    sites = [{"role": "step", "file": str(program.path), "line": line}]
    told = faults(program, _answer(program, **{"sites": sites, **changes}))
    assert bool(told) == (fault is not None)
    assert fault is None or told[0].startswith(fault)


def test_a_run_that_says_something_else_is_seen(tmp_path: Path) -> None:
    """The live list and that of the recording are compared."""
    program = _program(tmp_path, '"""Right: all."""\n')
    program = Program(tmp_path / "correct" / "some.py", program.header)
    quiet = _answer(program, severity="note")
    assert faults(program, quiet) == []
    assert faults(program, Answer(quiet.ran, quiet.live, ()))[0].startswith("live: ")
