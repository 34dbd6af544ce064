"""Reads the events of committed steps: one chunk a step, in blocks of bounded size."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from graddebug.records import Event
from graddebug.trace import format as layout
from graddebug.trace.events import Form, decode_events
from graddebug.trace.format import Damaged
from graddebug.trace.steps import Records

#: Bytes of events held at once while replaying, about.
_READ_AHEAD = 1 << 20


class Chunks:
    """The event files of a rank."""

    def __init__(self, folder: Path, forms: Mapping[int, Form]) -> None:
        self._folder = folder
        self._forms = forms

    def size(self, block: int) -> int:
        """Bytes in a block; 0 if there is none."""
        try:
            return (self._folder / layout.events_file(block)).stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, records: Records) -> Iterator[tuple[int, bytes]]:
        """Place in ``records`` and chunk of each of these steps, read ahead by a megabyte."""
        columns = ("block", "events_at", "events_length")
        rows = list(zip(*(records[name].tolist() for name in columns), strict=True))
        for places in _batches(rows):
            (block, start, _), (_, at, length) = rows[places[0]], rows[places[-1]]
            data = memoryview(self._bytes(block, start, at + length - start))
            for place in places:
                _, at, length = rows[place]
                yield place, bytes(data[at - start : at - start + length])

    def decode(self, chunk: bytes, crc: int) -> list[Event]:
        """The events of a chunk; `Damaged` if it does not match its CRC-32."""
        if not chunk:
            raise Damaged("they cannot be read")
        if zlib.crc32(chunk) != crc:
            raise Damaged("they do not match their checksum")
        return decode_events(layout.parse(chunk), self._forms)

    def at(self, block: int, at: int, length: int, crc: int) -> list[Event]:
        """The events of the chunk that lies there."""
        return self.decode(self._bytes(block, at, length), crc)

    def _bytes(self, block: int, at: int, length: int) -> bytes:
        """What lies there; nothing if it cannot be read, be it that the place makes no sense."""
        try:
            with (self._folder / layout.events_file(block)).open("rb") as file:
                file.seek(at)
                return file.read(max(0, min(length, self.size(block))))
        except (OSError, ValueError):
            return b""


def _batches(rows: Sequence[tuple[int, int, int]]) -> Iterator[list[int]]:
    """Places of neighbouring chunks of one block, about `_READ_AHEAD` bytes at a time."""
    batch: list[int] = []
    for place, (block, at, _) in enumerate(rows):
        if batch and (block != rows[batch[0]][0] or not 0 <= at - rows[batch[0]][1] < _READ_AHEAD):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
