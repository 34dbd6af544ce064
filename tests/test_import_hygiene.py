"""Light modules stay light: what reads recordings starts without torch, and nothing here needs textual.

Each check runs in a process of its own, since this one has imported much already.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

_HEAVY = ("torch", "textual", "graddebug_tui")

LIGHT = (
    "graddebug",
    "graddebug.cli",
    "graddebug.diagnose.engine",
    "graddebug.graph",
    "graddebug.known.baseline",
    "graddebug.known.configuration",
    "graddebug.known.live",
    "graddebug.ledger",
    "graddebug.pytest_plugin",
    "graddebug.records",
    "graddebug.report.json",
    "graddebug.report.show",
    "graddebug.report.text",
    "graddebug.trace.reader",
    "graddebug.views",
)


def loaded_by(statement: str) -> set[str]:
    """Which of the heavy packages are loaded in a fresh Python after one statement."""
    asked = f"import sys\n{statement}\nprint(*(name for name in {_HEAVY!r} if name in sys.modules))"
    answer = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


@pytest.mark.parametrize("module", LIGHT)
def test_light_module_loads_nothing_heavy(module: str) -> None:
    """Neither torch nor textual comes along."""
    assert loaded_by(f"import {module}") == set()


def test_the_rules_load_without_torch() -> None:
    """Judging a recording needs no torch, whichever rules there are."""
    assert loaded_by("from graddebug.diagnose.registry import all_rules; all_rules()") == set()


def test_the_terminal_ui_loads_without_torch() -> None:
    """Looking at a recording works on a machine that cannot train."""
    assert loaded_by("import graddebug_tui.app") == {"textual", "graddebug_tui"}


def test_watching_loads_torch() -> None:
    """The check can fail: what must load torch is seen to load it."""
    assert loaded_by("from graddebug import watch") == {"torch"}
