"""What docs/precision.md shows is what its program gives."""

from __future__ import annotations

from pathlib import Path

from tests.running import ROOT, graddebug

PAGE = (ROOT / "docs" / "precision.md").read_text(encoding="utf-8")
PROGRAM = ROOT / "docs" / "programs" / "nan_at_step_812.py"


def test_the_program_shown_is_the_program() -> None:
    """All of it but its docstring."""
    _, _, code = PROGRAM.read_text(encoding="utf-8").partition('"""\n\n')
    assert f"```python\n{code}```" in PAGE


def test_the_finding_shown_is_real(tmp_path: Path) -> None:
    """The command of the walk-through prints it to the letter."""
    name = PROGRAM.relative_to(ROOT)
    assert f"graddebug run --nodes always {name}" in PAGE
    ran = graddebug("run", "--nodes", "always", "-o", tmp_path / "run", name, cwd=ROOT, OMP_NUM_THREADS="1")
    finding, _, _ = ran.stderr.partition("graddebug: 820 steps recorded")
    assert finding.startswith("graddebug: ✖ error  GD501")
    assert f"```text\n{finding}```" in PAGE
