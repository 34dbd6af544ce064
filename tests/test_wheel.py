"""The wheel a user installs holds both packages and declares what they start with."""

from __future__ import annotations

import configparser
import email
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel, built from this source by the build tool that is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        yield archive


def info_file(wheel: zipfile.ZipFile, name: str) -> str:
    """The text of a file in the wheel's ``.dist-info``."""
    (path,) = (path for path in wheel.namelist() if path.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


@pytest.fixture
def metadata(wheel: zipfile.ZipFile) -> Message:
    """What the wheel says about itself."""
    return email.message_from_string(info_file(wheel, "METADATA"))


@pytest.mark.parametrize(
    "path",
    [
        "graddebug/__init__.py",
        "graddebug/py.typed",
        "graddebug/capture/taps.py",
        "graddebug/diagnose/rules/stale_gradient.py",
        "graddebug_tui/app.py",
        "graddebug_tui/app.tcss",
        "graddebug_tui/py.typed",
    ],
)
def test_wheel_holds(wheel: zipfile.ZipFile, path: str) -> None:
    """Code, style sheet and type markers are all inside."""
    assert path in wheel.namelist()


def test_wheel_holds_the_two_packages_only(wheel: zipfile.ZipFile) -> None:
    """Tests, examples and documents stay out."""
    tops = {path.split("/")[0] for path in wheel.namelist() if ".dist-info/" not in path}
    assert tops == {"graddebug", "graddebug_tui"}


def test_entry_points(wheel: zipfile.ZipFile) -> None:
    """Two commands, and the plugin that pytest loads."""
    points = configparser.ConfigParser()
    points.read_string(info_file(wheel, "entry_points.txt"))
    assert dict(points["console_scripts"]) == {
        "graddebug": "graddebug.cli:main",
        "graddebug-tui": "graddebug_tui.cli:main",
    }
    assert dict(points["pytest11"]) == {"graddebug": "graddebug.pytest_plugin"}


def test_training_needs_three_packages(metadata: Message) -> None:
    """Nothing but torch, numpy and networkx comes into a training process."""
    needs = [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert sorted(need.split(">")[0] for need in needs) == ["networkx", "numpy", "torch"]


def test_license_travels_along(wheel: zipfile.ZipFile, metadata: Message) -> None:
    """The license is named and its text is inside."""
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Apache License" in info_file(wheel, "licenses/LICENSE")
