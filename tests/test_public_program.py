"""A whole program as people publish them: a small GPT with its schedule, accumulation, evaluation and clipping."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.running import graddebug, python

PROGRAM = Path(__file__).parent / "corpus" / "small_gpt.py"
CLEAR = re.compile(r"^ +optimizer\.zero_grad\(set_to_none=True\)\n", re.MULTILINE)


@pytest.mark.parametrize("arguments", [(), ("--micro-batches=3",)], ids=["plain", "accumulating"])
def test_no_alarm_and_the_same_numbers(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Losses and a hash of all weights and moments are the same to the last bit."""
    plain = python(PROGRAM, *arguments, cwd=tmp_path)
    watched = graddebug("run", "-o", "out", "--fail-on", "note", PROGRAM, *arguments, cwd=tmp_path)
    assert (plain.returncode, watched.returncode) == (0, 0), plain.stderr + watched.stderr
    assert watched.stdout == plain.stdout


def test_without_its_zero_grad_it_is_found_within_two_steps(tmp_path: Path) -> None:
    """GD101 at the lines of its backward and step."""
    source, removed = CLEAR.subn("", PROGRAM.read_text(encoding="utf-8"))
    assert removed == 1
    (tmp_path / "broken.py").write_text(source, encoding="utf-8")
    graddebug("run", "-o", "out", "broken.py", cwd=tmp_path)
    report = json.loads(graddebug("check", "out", "--format", "json", cwd=tmp_path).stdout)
    (finding,) = report["findings"]
    assert (finding["rule"], finding["first_step"] <= 2) == ("GD101", True)
    lines = source.splitlines()
    quoted = {site["role"]: lines[site["line"] - 1].strip() for site in finding["sites"]}
    assert quoted == {"backward": "(loss / micro_batches).backward()", "step": "optimizer.step()"}
