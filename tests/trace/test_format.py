import zlib
from pathlib import Path

import numpy as np
import pytest

from graddebug.trace import format as layout
from graddebug.trace.format import Damaged


def test_checked_line_comes_back() -> None:
    """A checked line gives back its object."""
    assert layout.parse_checked_line(layout.checked_line({"name": "fc", "n": 1})) == {"name": "fc", "n": 1}


def test_checked_line_with_any_bit_flipped_is_refused() -> None:
    """No single flipped bit of a checked line goes unseen."""
    line = layout.checked_line({"name": "fc"})
    for place in range(len(line) - 1):
        for bit in range(8):
            broken = bytearray(line)
            broken[place] ^= 1 << bit
            with pytest.raises(Damaged):
                layout.parse_checked_line(bytes(broken))


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 100_000, b"\xff", b"1" * 5000])
def test_text_that_is_no_json_is_damaged(text: bytes) -> None:
    """Whatever json may raise becomes one error."""
    with pytest.raises(Damaged):
        layout.parse(text)


def test_nan_is_never_written() -> None:
    """JSON has no NaN: a record that smuggles one in fails loudly."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        layout.compact({"loss": float("nan")})


@pytest.mark.parametrize("name", ["", "../evil", "ABC", "ab/cd", "xyz", "0" * 129])
def test_graph_names_lead_nowhere_else(name: str) -> None:
    """A graph's file name is hex, so that no recording can point outside itself."""
    with pytest.raises(ValueError, match="hex"):
        layout.graph_file(name)


def test_run_text_begins_with_its_version() -> None:
    """The version is in the first bytes, readable also when the rest is of another format."""
    text = layout.run_text({"title": "demo"})
    assert text.startswith(b'{"graddebug_trace":1,')
    assert layout.run_version(text) == 1
    assert layout.run_version(b'{"graddebug_trace": 27, "anything": []}') == 27
    assert layout.parse_run_text(text) == {"title": "demo"}


def test_lines_without_an_end_are_left_out() -> None:
    """A line that is still being written is not there yet."""
    assert list(layout.whole_lines(b"one\ntwo\nthr")) == [b"one\n", b"two\n"]


def _records(count: int) -> bytes:
    data = b""
    for step in range(count):
        record = np.zeros(1, dtype=layout.STEP)
        record["step"] = step
        body = record.tobytes()[: -layout.CHECK_BYTES]
        data += body + zlib.crc32(data + body).to_bytes(4, "little")
    return data


def test_whole_steps_are_read() -> None:
    """Records that agree with their checks are all read, a half one is not."""
    assert layout.whole_steps(_records(5) + b"half a record")["step"].tolist() == [0, 1, 2, 3, 4]


def test_steps_can_be_read_in_pieces() -> None:
    """The checksum goes on where the last reading stopped."""
    data = _records(5)
    head = layout.whole_steps(data[: 2 * layout.STEP.itemsize])
    tail = layout.whole_steps(data[2 * layout.STEP.itemsize :], layout.crc_after(head, 0))
    assert tail["step"].tolist() == [2, 3, 4]


def test_steps_from_a_damaged_record_on_are_not_trusted() -> None:
    """A flipped bit in record 3 leaves the three before it."""
    data = bytearray(_records(6))
    data[3 * layout.STEP.itemsize + 10] ^= 1
    assert layout.whole_steps(bytes(data))["step"].tolist() == [0, 1, 2]


def test_array_comes_back(tmp_path: Path) -> None:
    """A written array is mapped with its values, and numpy reads it too."""
    array = np.arange(24, dtype="<f4").reshape(2, 3, 4)
    layout.write_array(tmp_path / "a.npy", array)
    assert np.array_equal(layout.map_array(tmp_path / "a.npy", 3), array)
    assert np.array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), array)


def test_empty_array_comes_back(tmp_path: Path) -> None:
    """An array without elements keeps its shape."""
    layout.write_array(tmp_path / "a.npy", np.empty((0, 9, 4), dtype="<f4"))
    assert layout.map_array(tmp_path / "a.npy", 3).shape == (0, 9, 4)


def test_header_that_promises_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    """A size in a header is believed only if the file has it: nothing is allocated from it."""
    path = tmp_path / "a.npy"
    path.write_bytes(layout.array_header((2**40, 9, 9)) + b"\0" * 64)
    with pytest.raises(Damaged, match="promises"):
        layout.map_array(path, 3)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    """An object array, which numpy would unpickle, is refused by its header."""
    np.save(tmp_path / "a.npy", np.array([{"evil": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(Damaged, match="no header of <f4 numbers"):
        layout.map_array(tmp_path / "a.npy", 1)


def test_graph_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that unpacks to a huge one is not unpacked to the end."""
    monkeypatch.setattr(layout, "_GRAPH_BYTES", 1000)
    with pytest.raises(Damaged, match="larger"):
        layout.unpack_graph(zlib.compress(b" " * 10_000))


def test_whole_file_appears_at_once(tmp_path: Path) -> None:
    """Nothing but the finished file is left."""
    layout.write_whole(tmp_path / "x", b"one", b"two")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x", b"onetwo")]
