"""Acting right after an import."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from graddebug.when_imported import when_imported
from tests.running import script

NAME = "module_that_arrives_late"


@pytest.fixture(autouse=True)
def _importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    finders = list(sys.meta_path)
    script(tmp_path, "import sys\nvalue = 1\n", name=f"{NAME}.py")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop(NAME, None)
    assert sys.meta_path == finders


def test_acts_once_after_the_module_has_run() -> None:
    """The module's names are there when the act runs; later imports do not repeat it."""
    seen: list[int] = []
    when_imported(NAME, lambda: seen.append(sys.modules[NAME].value))
    for _ in range(2):
        importlib.import_module(NAME)
    assert seen == [1]


def test_acts_at_once_when_it_is_there_already() -> None:
    """A module that has run is not waited for."""
    importlib.import_module(NAME)
    seen: list[str] = []
    when_imported(NAME, lambda: seen.append("now"))
    assert seen == ["now"]


def test_leaves_the_module_as_it_would_be() -> None:
    """Loader and spec of the module are the usual ones, with nothing added."""
    when_imported(NAME, lambda: None)
    module = importlib.import_module(NAME)
    assert module.__spec__ is not None
    loader = module.__spec__.loader
    assert module.__loader__ is loader
    assert "exec_module" not in vars(loader)


def test_a_failing_module_is_told_without_us(tmp_path: Path) -> None:
    """The traceback of a failing import has no frame of ours, and the module is waited for again."""
    script(tmp_path, "raise ImportError('broken')\n", name=f"{NAME}.py")
    seen: list[str] = []
    give_up = when_imported(NAME, lambda: seen.append("now"))
    with pytest.raises(ImportError, match="broken") as failed:
        exec(f"import {NAME}")
    frames = [Path(frame.filename).name for frame in traceback.extract_tb(failed.tb)]
    assert frames[1:] == ["<string>", f"{NAME}.py"]
    script(tmp_path, "value = 1\n", name=f"{NAME}.py")
    importlib.invalidate_caches()
    importlib.import_module(NAME)
    assert seen == ["now"]
    give_up()


def test_what_the_act_raises_comes_out_of_the_import() -> None:
    """An act that fails is seen by the import statement."""

    def fail() -> None:
        raise OSError("no room")

    when_imported(NAME, fail)
    with pytest.raises(OSError, match="no room"):
        importlib.import_module(NAME)


def test_giving_up_ends_the_wait() -> None:
    """After giving up, the import does nothing more than import."""
    seen: list[str] = []
    give_up = when_imported(NAME, lambda: seen.append("now"))
    give_up()
    importlib.import_module(NAME)
    assert seen == []


def test_a_missing_module_stays_missing() -> None:
    """A failing import fails as ever, and the wait goes on."""
    give_up = when_imported("no_such_module_at_all", lambda: None)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_module_at_all")
    give_up()
