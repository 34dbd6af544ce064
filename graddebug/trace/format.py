"""File names, byte layouts and checksums of a recording: the only module that knows bytes.

docs/format.md describes the same for someone who reads a recording without graddebug.
"""

from __future__ import annotations

import io
import json
import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

#: Raised by one with every change that an older reader cannot read.
VERSION = 1

RUN = "run.json"
PARAMETERS = "params.jsonl"
OPTIMIZERS = "optimizers.jsonl"
FINDINGS = "findings.jsonl"
ACKNOWLEDGEMENTS = "acknowledgements.jsonl"
GRAPHS = "graphs"
STEPS = "steps.bin"
INTERNED = "interned.jsonl"
CLOSED = "closed.json"
DROPPED = "dropped.jsonl"
NODES = "nodes"
MODULES = "modules"

#: One commit record a step. ``check`` is the CRC-32 of every byte of the file before it.
#: ``graph``, ``segment`` and ``block`` are -1 where the step has none; see `HAS_LOSS`, `HAS_SCALE`.
STEP = np.dtype(
    [
        ("step", "<i8"),
        ("time", "<f8"),
        ("duration", "<f8"),
        ("loss", "<f8"),
        ("scale", "<f8"),
        ("graph", "<i4"),
        ("segment", "<i4"),
        ("row", "<i4"),
        ("row_crc", "<u4"),
        ("events_at", "<i8"),
        ("events_length", "<u4"),
        ("events_crc", "<u4"),
        ("interned", "<u4"),
        ("parameters", "<u4"),
        ("optimizers", "<u4"),
        ("block", "<i4"),
        ("flags", "<u4"),
        ("check", "<u4"),
    ]
)
#: `struct` layout of `STEP` without its check.
STEP_BODY = "<qddddiiiIqIIIIIiI"
CHECK_BYTES = 4
HAS_LOSS = 1
HAS_SCALE = 2

_GRAPH_NAME = re.compile(r"[0-9a-f]{1,128}")
_NPY_MAGIC = b"\x93NUMPY\x01\x00"
_NPY_START = struct.Struct("<8sH")
_NPY_HEADER = re.compile(
    rb"\{'descr': '(?P<dtype>[^']+)', 'fortran_order': False, 'shape': \((?P<shape>[\d, ]{1,60})\), \} *\n"
)
_CRC_MEMBER = b',"crc32":'
_VERSION_START = re.compile(rb'\{"graddebug_trace": ?(\d{1,9})\b')
#: A backward graph of a million nodes takes some 200 MB of JSON; more than this is no honest graph.
_GRAPH_BYTES = 1 << 30

_encode_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


class Damaged(ValueError):
    """Bytes that are not what the writer wrote; the reader turns it into a sentence for people."""


# --- names ----------------------------------------------------------------------------------


def rank_folder(rank: int) -> str:
    """Name of the folder that holds one rank's steps."""
    return f"rank{rank:05d}"


def graph_file(name: str) -> str:
    """File name of a graph; `ValueError` unless its hash is lower-case hex, so that none leads elsewhere."""
    if not _GRAPH_NAME.fullmatch(name):
        raise ValueError(f"a graph's hash must be 1 to 128 lower-case hex digits, not {name[:40]!r}")
    return f"{name}.json.z"


def events_file(block: int) -> str:
    """Name of one block of events."""
    return f"events-{block:06d}.jsonl"


def hot_file(segment: int) -> str:
    """Name of a segment that is still being written, row by row."""
    return f"hot-{segment:06d}.npy"


def numbers_file(kind: str) -> str:
    """Name of the file that holds the numbers of tables measured now and then."""
    return f"{kind}.bin"


def numbers_lines(kind: str) -> str:
    """Name of the file that says what the tables of `numbers_file` are and where."""
    return f"{kind}.jsonl"


def sealed_file(part: str, segment: int, generation: int) -> str:
    """Name of a part (``seg``, ``lod``, ``sum``, ``rows``) of a sealed segment.

    Each thinning of a segment writes a new generation beside the old one.
    """
    return f"{part}-{segment:06d}-{generation}.npy"


def sealed_generations(names: Sequence[str]) -> dict[int, int]:
    """The newest generation of each sealed segment among file names of a rank folder."""
    newest: dict[int, int] = {}
    for name in names:
        if found := re.fullmatch(r"seg-(\d{6,9})-(\d{1,4})\.npy", name):
            segment, generation = int(found[1]), int(found[2])
            newest[segment] = max(generation, newest.get(segment, 0))
    return newest


# --- JSON -----------------------------------------------------------------------------------


def compact(plain: object) -> bytes:
    """Strict JSON (no NaN) without spaces, ASCII."""
    return _encode_json(plain).encode("ascii")


def parse(text: bytes) -> Any:
    """The value of a JSON text; `Damaged` if it is none."""
    try:
        return json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Damaged(f"no JSON: {error}") from None


def checked_line(plain: dict[str, Any]) -> bytes:
    """A JSON object as one line whose last member, ``crc32``, is the CRC-32 of the bytes before it."""
    body = compact(plain)[:-1]
    return body + _CRC_MEMBER + b"%d}\n" % zlib.crc32(body)


def parse_checked_line(line: bytes) -> dict[str, Any]:
    """The object of a checked line without its checksum; `Damaged` if the two disagree."""
    body, separator, crc = line.rstrip(b"\n").rpartition(_CRC_MEMBER)
    if not separator or crc != b"%d}" % zlib.crc32(body):
        raise Damaged("a line does not match its checksum")
    plain = parse(body + b"}")
    if not isinstance(plain, dict):
        raise Damaged("a line holds no JSON object")
    return plain


def whole_lines(data: bytes) -> Iterator[bytes]:
    """Complete lines of ``data``, each with its newline; what follows the last newline is left out."""
    start = 0
    while (end := data.find(b"\n", start) + 1) > 0:
        yield data[start:end]
        start = end


def run_text(plain: dict[str, Any]) -> bytes:
    """The content of run.json: its version is in the first bytes, its checksum covers the rest."""
    return b'{"graddebug_trace":%d,' % VERSION + checked_line({"run": plain})[1:]


def run_version(text: bytes) -> int | None:
    """The format version a run.json starts with; None if it starts otherwise."""
    found = _VERSION_START.match(text)
    return int(found[1]) if found else None


def parse_run_text(text: bytes) -> Any:
    """The run of a run.json whose version this reader knows; `Damaged` if it is not whole."""
    if not text.endswith(b"\n"):
        raise Damaged("its end is missing")
    return parse_checked_line(b"{" + text.partition(b",")[2]).get("run")


def pack_graph(plain: dict[str, Any]) -> bytes:
    """The content of a graph file."""
    return zlib.compress(compact(plain), 6)


def unpack_graph(data: bytes) -> Any:
    """The JSON value of a graph file; `Damaged` if it is not whole or would unpack to over 1 GiB."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, _GRAPH_BYTES)
    except zlib.error as error:
        raise Damaged(f"it does not unpack: {error}") from None
    if not unpacker.eof:
        raise Damaged("its end is missing or it is larger than 1 GiB")
    return parse(text)


# --- arrays ---------------------------------------------------------------------------------


def array_header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    """The header of a .npy file."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": shape})
    return header.getvalue()


def read_array_header(path: Path, dimensions: int, dtype: str = "<f4") -> tuple[tuple[int, ...], int]:
    """Shape of a .npy file and where its data begins; `Damaged` unless it is C-ordered ``dtype``.

    It reads only headers that `array_header` writes: numpy's own reader evaluates the header as Python.
    """
    with path.open("rb") as file:
        start = file.read(_NPY_START.size)
        if len(start) < _NPY_START.size or not start.startswith(_NPY_MAGIC):
            raise Damaged(f"{path.name} does not begin like a .npy file")
        (length,) = _NPY_START.unpack(start)[1:]
        found = _NPY_HEADER.fullmatch(file.read(length))
    if not found or found["dtype"] != dtype.encode():
        raise Damaged(f"{path.name} has no header of {dtype} numbers")
    shape = tuple(int(size) for size in found["shape"].replace(b",", b" ").split())
    if len(shape) != dimensions:
        raise Damaged(f"{path.name} has {len(shape)} dimensions, not {dimensions}")
    return shape, len(start) + length


def map_array(path: Path, dimensions: int, dtype: str = "<f4") -> npt.NDArray[Any]:
    """A whole .npy file mapped read-only; `Damaged` if its size is not what its header says."""
    shape, start = read_array_header(path, dimensions, dtype)
    count = 1
    for size in shape:
        count *= size
    wanted = start + count * np.dtype(dtype).itemsize
    if (found := path.stat().st_size) != wanted:
        raise Damaged(f"{path.name} has {found:,} bytes where its header promises {wanted:,}")
    if not count:  # an empty file cannot be mapped
        return np.empty(shape, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape)


def write_whole(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file under a temporary name and rename it: a reader sees all of it or none."""
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        for part in parts:
            file.write(part)
    temporary.replace(path)


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array as a whole .npy file; see `write_whole`."""
    array = np.ascontiguousarray(array)
    data = array.data.cast("B") if array.size else b""  # an empty array cannot be cast
    write_whole(path, array_header(array.shape, array.dtype.str), data)


def write_all_at(fd: int, data: memoryview, offset: int) -> None:
    """Write all of ``data`` at an offset: `os.pwrite` may stop short on a filling disk."""
    while data:
        count = os.pwrite(fd, data, offset)
        data, offset = data[count:], offset + count


# --- steps ----------------------------------------------------------------------------------


def whole_steps(data: bytes, crc: int = 0) -> npt.NDArray[np.void]:
    """The records (dtype `STEP`) at the start of ``data`` that agree with their checks.

    ``crc`` is the CRC-32 of all bytes of the file before ``data``.
    """
    count = len(data) // STEP.itemsize
    records = np.frombuffer(data, dtype=STEP, count=count)
    covered = memoryview(data)[: count * STEP.itemsize]
    if count and zlib.crc32(covered[:-CHECK_BYTES], crc) != records["check"][-1]:
        return records[: _first_wrong_check(covered, records["check"].tolist(), crc)]
    return records  # the last check covers all before it


def crc_after(records: npt.NDArray[np.void], crc: int) -> int:
    """CRC-32 of a steps file up to and with these whole records, from that of the bytes before them."""
    return zlib.crc32(records.tobytes(), crc)


def _first_wrong_check(data: memoryview, checks: list[int], crc: int) -> int:
    for index, check in enumerate(checks):
        start = index * STEP.itemsize
        end = start + STEP.itemsize
        crc = zlib.crc32(data[start : end - CHECK_BYTES], crc)
        if crc != check:
            return index
        crc = zlib.crc32(data[end - CHECK_BYTES : end], crc)
    return len(checks)
