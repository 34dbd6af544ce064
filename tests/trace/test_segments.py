from pathlib import Path

import numpy as np
import pytest

from graddebug.records import STATISTICS
from graddebug.trace import segments
from graddebug.trace.segments import HotSegment, SegmentWriter


def table(value: float, width: int = 2) -> np.ndarray:
    return np.full((width, len(STATISTICS)), value, dtype=np.float32)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def writer(folder: Path, sealed: list[int]) -> SegmentWriter:
    return SegmentWriter(folder, size_cap=2**31, after_seal=sealed.append)


def test_hot_segment_is_a_proper_array(tmp_path: Path) -> None:
    """Numpy alone reads a segment that is still being written."""
    hot = HotSegment(tmp_path, index=0, width=2, capacity=4)
    hot.append(table(1))
    hot.append(table(2))
    found = np.load(tmp_path / "hot-000000.npy", allow_pickle=False)
    assert found.shape == (4, 2, len(STATISTICS))
    assert found[:, 0, 0].tolist() == [1, 2, 0, 0]
    hot.close()


def test_full_segment_is_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row after the last that fits begins a new segment; the old one is transposed."""
    monkeypatch.setattr(segments, "ROWS_AT_MOST", 16)
    sealed: list[int] = []
    written = writer(tmp_path, sealed)
    places = [written.append(table(step)) for step in range(17)]
    written.close()
    assert [places[15][:2], places[16][:2]] == [(0, 15), (1, 0)]
    assert sealed == [0, 1]
    assert np.load(tmp_path / "seg-000000-0.npy")[1, 3].tolist() == list(range(16))
    assert not list(tmp_path.glob("hot-*"))


def test_wider_table_begins_a_segment(tmp_path: Path) -> None:
    """Every segment has one width."""
    sealed: list[int] = []
    written = writer(tmp_path, sealed)
    places = [written.append(table(1, width=2)), written.append(table(1, width=3))]
    written.close()
    assert [place.segment for place in places] == [0, 1]
    assert np.load(tmp_path / "seg-000001-0.npy").shape == (3, len(STATISTICS), 1)


def test_no_table_takes_no_row(tmp_path: Path) -> None:
    """A step without statistics has no place."""
    written = writer(tmp_path, [])
    assert written.append(None).segment == -1
    written.close()
    assert names(tmp_path) == []


def test_failed_sealing_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the sealed twin cannot be written, the hot file stays with every row."""
    sealed: list[int] = []
    written = writer(tmp_path, sealed)
    written.append(table(5))
    (tmp_path / "seg-000000-0.npy.part").mkdir()
    written.close()
    assert sealed == []
    assert np.load(tmp_path / "hot-000000.npy")[0, 0, 0] == 5


def test_model_without_parameters(tmp_path: Path) -> None:
    """A table of no rows is a table too."""
    written = writer(tmp_path, [])
    assert written.append(table(1, width=0)).row == 0
    written.close()
    assert np.load(tmp_path / "seg-000000-0.npy").shape == (0, len(STATISTICS), 1)
