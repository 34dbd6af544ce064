"""Running commands in a process of their own, as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Variables that change what is printed, and those that a launcher of ranks sets.
_CLEARED = ("NO_COLOR", "FORCE_COLOR", "CI", "COLUMNS", "RANK", "WORLD_SIZE", "PYTHONIOENCODING")


def environment(**changes: str) -> dict[str, str]:
    """Variables of this process with graddebug importable and nothing that alters output."""
    kept = {name: value for name, value in os.environ.items() if name not in _CLEARED}
    path = os.pathsep.join([str(ROOT), str(ROOT / "tui")])
    return {**kept, "PYTHONPATH": path, "PYTHONWARNINGS": "error", **changes}


def python(
    *words: str | Path, cwd: Path, stdin: str | None = None, **changes: str
) -> subprocess.CompletedProcess[str]:
    """`python words…` in a folder."""
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env=environment(**changes),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def graddebug(
    *words: str | Path, cwd: Path, stdin: str | None = None, **changes: str
) -> subprocess.CompletedProcess[str]:
    """`graddebug words…` in a folder."""
    return python("-m", "graddebug", *words, cwd=cwd, stdin=stdin, **changes)


def script(folder: Path, source: str, *, name: str = "train.py") -> Path:
    """Write a program into a folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    return path
