"""The guard around every test can itself fail."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tests.leftovers import leftovers, surroundings

ROOT = Path(__file__).parents[1]


def test_nothing_changed_is_nothing_left() -> None:
    """Two looks at an untouched process agree."""
    assert leftovers(surroundings(), surroundings()) == []


def test_a_global_module_hook_is_seen() -> None:
    """A forgotten hook on all modules is named by its table."""
    before = surroundings()
    handle = torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
    after = surroundings()
    handle.remove()
    assert [line.split(":")[0] for line in leftovers(before, after)] == [
        "torch.nn.modules.module._global_forward_hooks"
    ]


def test_a_global_optimizer_hook_is_seen() -> None:
    """A forgotten hook on all optimizers is named by its table."""
    before = surroundings()
    handle = register_optimizer_step_pre_hook(lambda *_: None)
    after = surroundings()
    handle.remove()
    assert "_global_optimizer_pre_hooks" in leftovers(before, after)[0]


def test_a_replaced_method_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method of torch that is not the one it was is named."""
    before = surroundings()
    monkeypatch.setattr(torch.optim.Optimizer, "zero_grad", lambda *_: None)
    assert leftovers(before, surroundings())[0].startswith("torch.optim.Optimizer.zero_grad: was ")


def test_a_changed_grad_mode_is_seen() -> None:
    """Grad mode left off is said with both values."""
    before = surroundings()
    with torch.no_grad():
        assert leftovers(before, surroundings()) == ["grad mode: was True, is False"]


def test_a_function_mode_is_seen() -> None:
    """A mode left on torch's stack is counted."""
    before = surroundings()
    with torch.device("cpu"):
        assert leftovers(before, surroundings()) == ["torch function modes: was 0, is 1"]


def test_a_changed_default_dtype_is_seen() -> None:
    """A default dtype left changed is said with both values."""
    before = surroundings()
    torch.set_default_dtype(torch.float64)
    after = surroundings()
    torch.set_default_dtype(torch.float32)
    assert leftovers(before, after) == ["default dtype: was torch.float32, is torch.float64"]


def test_a_running_thread_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that does not end by itself is named."""
    monkeypatch.setattr("tests.leftovers._ENDING_THREAD_SECONDS", 0.01)
    before, end = surroundings(), threading.Event()
    thread = threading.Thread(target=end.wait, name="forgotten")
    thread.start()
    left = leftovers(before, surroundings())
    end.set()
    thread.join()
    assert left == ["a thread: forgotten"]


def test_the_guard_fails_a_careless_test(tmp_path: Path) -> None:
    """A test that turns grad mode off for good is an error of pytest's own run."""
    (tmp_path / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    (tmp_path / "test_careless.py").write_text(
        "import torch\ndef test_careless():\n    torch.set_grad_enabled(False)\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", "/dev/null", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed, 1 error" in outcome.stdout
    assert "grad mode: was True, is False" in outcome.stdout
