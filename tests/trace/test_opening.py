import re
from collections.abc import Callable
from pathlib import Path

import pytest

from graddebug.errors import TraceError
from graddebug.trace import Recording
from tests.trace.small_run import SmallRun


def message_for(path: Path) -> str:
    with pytest.raises(TraceError) as caught:
        Recording.open(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(path), "RUN")


def test_missing_folder(tmp_path: Path) -> None:
    """A path that is not there is said not to be there."""
    assert message_for(tmp_path / "nowhere") == "there is no RUN: check the path of the recording."


def test_file_instead_of_a_folder(small_run: Callable[..., SmallRun]) -> None:
    """Given run.json itself, the message asks for the folder."""
    path = small_run().folder / "run.json"
    assert message_for(path) == "RUN is a file: give the recording's folder, the one that holds run.json."


def test_empty_folder(tmp_path: Path) -> None:
    """An empty folder is said to be empty."""
    assert message_for(tmp_path).startswith("RUN is empty, so it is no recording: give the folder that")


def test_foreign_folder(tmp_path: Path) -> None:
    """A folder of something else is no recording."""
    (tmp_path / "model.pt").touch()
    assert message_for(tmp_path).startswith("RUN holds no run.json, so it is no recording: give the folder")


def test_newer_version(small_run: Callable[..., SmallRun]) -> None:
    """A recording of the future asks for an upgrade, whatever else it holds."""
    folder = small_run().folder
    (folder / "run.json").write_bytes(b'{"graddebug_trace": 2, "new": "things"}')
    assert message_for(folder) == (
        "RUN was made by a newer graddebug (format 2; this one reads up to 1): "
        "upgrade with `pip install --upgrade graddebug`."
    )


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"\x00\xff", b'{"graddebug_trace":1,', b'{"name": "wandb run"}\n']
)
def test_damaged_run(small_run: Callable[..., SmallRun], text: bytes) -> None:
    """A run.json that is not whole is damaged, and nothing else is tried."""
    folder = small_run().folder
    (folder / "run.json").write_bytes(text)
    assert re.match(r"RUN/run\.json is damaged \(.+\), so .+: record the run again\.", message_for(folder))


def test_changed_run(small_run: Callable[..., SmallRun]) -> None:
    """A run.json that was edited does not match its checksum."""
    path = small_run().folder / "run.json"
    path.write_bytes(path.read_bytes().replace(b"train.py", b"brain.py"))
    assert "checksum" in message_for(path.parent)


def test_run_json_that_is_a_folder(tmp_path: Path) -> None:
    """What the system refuses to read is one clear error too."""
    (tmp_path / "run.json").mkdir()
    assert message_for(tmp_path) == "RUN cannot be read: Is a directory."


def test_run_that_has_not_begun(small_run: Callable[..., SmallRun]) -> None:
    """A run before its first step opens, with no steps."""
    recording = Recording.open(small_run().folder)
    assert (len(recording), recording.first_step, recording.last_step) == (0, None, None)
    assert recording.cut is None
