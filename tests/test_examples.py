"""Each example keeps the promise of its first line: what graddebug finds in it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if path.name != "digits.py")


def promise(first_line: str) -> list[str]:
    """The rules an example's first line names: ``"… graddebug finds: GD101 stale-gradient."``."""
    _, _, found = first_line.partition("graddebug finds:")
    codes = re.findall(r"(GD\d{3}) [a-z-]+", found)
    assert codes or found.strip() == "nothing.", f"the first line promises nothing: {first_line!r}"
    return codes


def graddebug(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command the way a user does, on one core, from the repository's root."""
    return subprocess.run(
        [sys.executable, "-m", "graddebug", *words],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_keeps_its_promise(example: Path, tmp_path: Path) -> None:
    """`graddebug run` then `check` report the promised rules, no more and no fewer."""
    expected = promise(example.read_text(encoding="utf-8").splitlines()[0])
    ran = graddebug("run", "-o", tmp_path / "run", example)
    assert ran.returncode == 0, ran.stderr
    report = json.loads(graddebug("check", "--format", "json", tmp_path / "run").stdout)
    assert [finding["rule"] for finding in report["findings"]] == expected


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_knows_nothing_of_graddebug(example: Path) -> None:
    """Examples are plain PyTorch: `graddebug run` needs no change to the code."""
    assert not re.search(r"^\s*(import|from) graddebug", example.read_text(encoding="utf-8"), re.MULTILINE)


def test_promise_names_its_rules() -> None:
    """Codes are read from behind the colon, in order."""
    line = '"""Two bugs. graddebug finds: GD106 unowned-gradient, GD201 parameter-without-optimizer.'
    assert promise(line) == ["GD106", "GD201"]


def test_a_line_without_promise_is_refused() -> None:
    """An example must say what is found, if only "nothing."."""
    with pytest.raises(AssertionError, match="promises nothing"):
        promise('"""A loop."""')
