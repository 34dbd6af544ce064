"""Keeps a recording below its size cap: the newest stays whole, the older is thinned, and it says so.

Statistics go first: the older a segment, the fewer of its steps are kept (every second, fourth,
eighth …), but those around a finding stay. Where events take more than half of the cap, the oldest
block of them goes. Commit records (96 bytes a step), graphs and findings are never dropped.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from graddebug.trace import format as layout
from graddebug.trace.segments import write_sealed

#: Steps kept on either side of a finding's first and last step.
WINDOW = 32
BLOCK_BYTES = 32 * 2**20


@dataclass(slots=True)
class _Segment:
    """A segment as retention sees it: the steps of its rows, and which of them it still holds."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    kept: npt.NDArray[np.int32] | None = None
    generation: int = 0
    sealed: bool = False

    @property
    def exhausted(self) -> bool:
        """Whether thinning it again would drop nothing but its last rows."""
        return (1 << self.generation) >= len(self.steps)


class Retention:
    """Watches the size of a recording; called by the sealing thread and at each new block of events."""

    def __init__(self, folder: Path, rank: Path, *, size_cap: int) -> None:
        self._folder = folder
        self._rank = rank
        self._size_cap = size_cap
        self.block_bytes = max(4096, min(BLOCK_BYTES, size_cap // 16))
        self._segments: dict[int, _Segment] = {}
        self._block_steps: dict[int, tuple[int, int]] = {}
        self._block = 0
        self._oldest_block = 0
        self._interesting: set[int] = set()

    def committed(self, step: int, *, segment: int, block: int) -> None:
        """A step was stored in this segment (-1: none) and block."""
        if segment >= 0:
            self._segments.setdefault(segment, _Segment()).steps.append(step)
        first, _ = self._block_steps.get(block, (step, step))
        self._block_steps[block] = (first, step)

    def around(self, *steps: int) -> None:
        """A finding names these steps: their neighbourhood is to be kept."""
        self._interesting.update(steps)

    def sealed(self, segment: int) -> None:
        """A segment was sealed."""
        self._segments[segment].sealed = True
        self._enforce()

    def new_block(self, block: int) -> None:
        """A new block of events was begun."""
        self._block = block
        if not self._segments:  # otherwise the next sealing looks after the size
            self._enforce()

    def _enforce(self) -> None:
        while (size := _size(self._folder)) > self._size_cap:
            if not self._drop_something(size):
                return

    def _drop_something(self, size: int) -> bool:
        events = sum(path.stat().st_size for path in self._rank.glob("events-*.jsonl"))
        segment = self._most_dispensable()
        if self._oldest_block < self._block and (segment is None or events > self._size_cap // 2):
            self._drop_block()
        elif segment is not None:
            self._thin(segment)
        else:
            return False
        return True

    # --- statistics ---

    def _most_dispensable(self) -> int | None:
        """The segment to thin next: what is kept falls with age, in powers of two; the newest stays whole."""
        sealed = [index for index, segment in list(self._segments.items()) if segment.sealed]
        wear = {
            index: self._segments[index].generation - int(math.log2(age))
            for age, index in enumerate(reversed(sealed), start=1)
            if age > 1 and not self._segments[index].exhausted
        }
        return min(wear, key=lambda index: (wear[index], index), default=None)

    def _thin(self, index: int) -> None:
        segment = self._segments[index]
        rows = np.arange(len(segment.steps), dtype=np.int32) if segment.kept is None else segment.kept
        places = self._places_to_keep(segment, rows)
        old = layout.map_array(self._rank / layout.sealed_file("seg", index, segment.generation), 3)
        kept = rows[places]
        path = self._rank / layout.sealed_file("rows", index, segment.generation + 1)
        layout.write_array(path, kept)
        table = np.ascontiguousarray(old[:, :, places])
        write_sealed(self._rank, table, index=index, generation=segment.generation + 1)
        self._remove(index, segment.generation)
        segment.kept, segment.generation = kept, segment.generation + 1
        self._say_thinned(index, segment)

    def _places_to_keep(self, segment: _Segment, rows: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
        steps = np.frombuffer(segment.steps, dtype=np.int64)[rows]
        keep = rows % 2 ** (segment.generation + 1) == 0
        for step in list(self._interesting):
            keep |= abs(steps - step) <= WINDOW
        return np.flatnonzero(keep)

    def _remove(self, index: int, generation: int) -> None:
        for part in ("seg", "lod", "sum", "rows"):
            (self._rank / layout.sealed_file(part, index, generation)).unlink(missing_ok=True)

    def _say_thinned(self, index: int, segment: _Segment) -> None:
        kept = 0 if segment.kept is None else len(segment.kept)
        said = {"segment": index, "of": len(segment.steps), "kept": kept, "every": 2**segment.generation}
        self._say(said, segment.steps[0], segment.steps[-1])

    # --- events ---

    def _drop_block(self) -> None:
        first, last = self._block_steps.pop(self._oldest_block, (0, 0))
        self._say({"block": self._oldest_block}, first, last)
        (self._rank / layout.events_file(self._oldest_block)).unlink(missing_ok=True)
        self._oldest_block += 1

    def _say(self, said: dict[str, int], first: int, last: int) -> None:
        with (self._rank / layout.DROPPED).open("ab") as file:
            file.write(layout.checked_line({**said, "first": first, "last": last}))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in _files(folder))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
