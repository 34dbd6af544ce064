"""Writes a recording, one step at a time: data first, then the commit record that vouches for it."""

from __future__ import annotations

import errno
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec

import numpy as np
import numpy.typing as npt

from graddebug.errors import UsageError
from graddebug.graph import BackwardGraph
from graddebug.records import (
    STATISTICS,
    Acknowledgement,
    Event,
    Finding,
    ModuleTable,
    NodeTable,
    Nonfinite,
    OptimizerInfo,
    ParameterInfo,
    RunInfo,
    StepRecord,
)
from graddebug.trace import format as layout
from graddebug.trace.appending import Appender, EventBlocks
from graddebug.trace.codec import ACKNOWLEDGEMENT, FINDING, OPTIMIZER, PARAMETER, RUN, encode_graph
from graddebug.trace.events import EventEncoder, Interning
from graddebug.trace.interning import Interner
from graddebug.trace.measured import MeasuredWriter
from graddebug.trace.retention import Retention
from graddebug.trace.segments import Place, SegmentWriter

P = ParamSpec("P")

_BODY = struct.Struct(layout.STEP_BODY)
_CHECK = struct.Struct("<I")
_NO_CHUNK = (0, 0, 0)

#: A finding that repeats is written again when its count has grown by this factor, and at the end:
#: a bug in every step of a long run costs some hundred lines, not one a step.
_COUNT_GROWTH = 1.1


def _while_open(
    method: Callable[Concatenate[TraceWriter, P], None],
) -> Callable[Concatenate[TraceWriter, P], None]:
    """Do nothing once the recording has ended; a write error ends it and is raised this once."""

    @wraps(method)
    def guarded(self: TraceWriter, /, *args: P.args, **kwargs: P.kwargs) -> None:
        with self.lock:
            if not self.may_write():
                return
            try:
                method(self, *args, **kwargs)
            except OSError:
                self.give_up()
                raise

    return guarded


class TraceWriter:
    """The one writer of a recording; a committed step has reached the operating system.

    ``size_cap`` is in bytes: what is older is thinned to stay below it, see `retention`.

    `UsageError` if ``folder`` holds files already or cannot be written. A write error later (disk
    full, folder removed) raises `OSError` once; from then on, as after `close` and in a forked child,
    every call does nothing.
    """

    def __init__(self, folder: str | Path, info: RunInfo, *, size_cap: int = 2 * 2**30) -> None:
        self.folder = Path(folder)
        self._pid = os.getpid()
        self.lock = threading.RLock()
        self._open = True
        self._last_step: int | None = None
        self._pending: list[Event] = []
        self._findings: dict[str, Finding] = {}
        self._written_findings: dict[str, Finding] = {}
        self._graphs: set[str] = set()
        self._parameter_count = self._optimizer_count = 0
        with _usage_error(self.folder):
            self._make_files(info, size_cap)

    def _make_files(self, info: RunInfo, size_cap: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if next(self.folder.iterdir(), None) is not None:
            raise UsageError(
                f"{self.folder} already holds files: a recording needs a new or empty folder. Choose "
                "another one, or remove it if it is no longer needed."
            )
        layout.write_whole(self.folder / layout.RUN, layout.run_text(RUN.encode(info)))
        rank = self.folder / layout.rank_folder(info.rank)
        rank.mkdir()
        (self.folder / layout.GRAPHS).mkdir()
        self._open_files(rank, size_cap)

    def _open_files(self, rank: Path, size_cap: int) -> None:
        self._rank = rank
        self._retention = Retention(self.folder, rank, size_cap=size_cap)
        self._parameters = Appender(self.folder / layout.PARAMETERS)
        self._optimizers = Appender(self.folder / layout.OPTIMIZERS)
        self._findings_file = Appender(self.folder / layout.FINDINGS)
        self._acknowledgements = Appender(self.folder / layout.ACKNOWLEDGEMENTS)
        self._interned = Appender(rank / layout.INTERNED)
        self._steps = Appender(rank / layout.STEPS)
        self._steps_crc = 0
        self._segments = SegmentWriter(rank, size_cap=size_cap, after_seal=self._retention.sealed)
        self._blocks = EventBlocks(
            rank, block_bytes=self._retention.block_bytes, after_block=self._retention.new_block
        )
        self._measured = MeasuredWriter(rank, size_cap=size_cap)
        self._interner = interner = Interner(self._interned.write)
        self._encoder = EventEncoder(Interning(interner.site, interner.parameters, interner.form))

    # --- what happened ---

    @_while_open
    def parameter(self, info: ParameterInfo) -> None:
        """Add a parameter; its index must be the count of those before (`ValueError`)."""
        _require_next("parameter", info.index, self._parameter_count)
        self._parameters.write(layout.checked_line(PARAMETER.encode(info)))
        self._parameter_count += 1

    @_while_open
    def optimizer(self, info: OptimizerInfo) -> None:
        """Add an optimizer; its index must be the count of those before (`ValueError`)."""
        _require_next("optimizer", info.index, self._optimizer_count)
        self._optimizers.write(layout.checked_line(OPTIMIZER.encode(info)))
        self._optimizer_count += 1

    @_while_open
    def graph(self, graph: BackwardGraph) -> None:
        """Store a graph, once per hash; `ValueError` if that is not lower-case hex."""
        if graph.hash in self._graphs:
            return
        path = self.folder / layout.GRAPHS / layout.graph_file(graph.hash)
        layout.write_whole(path, layout.pack_graph(encode_graph(graph)))
        self._graphs.add(graph.hash)

    def event(self, event: Event) -> None:
        """Take an event; it is stored by the next `commit`."""
        if self._open:
            self._pending.append(event)
            if isinstance(event, Nonfinite):
                self._trouble(event.step)

    @_while_open
    def nodes(self, table: NodeTable) -> None:
        """Take the nodes of a measured backward: not every table is kept, see `choice`.

        `ValueError` for a table that is not (nodes, `NODE_STATISTICS`).
        """
        self._measured.nodes(table)

    @_while_open
    def modules(self, table: ModuleTable) -> None:
        """Take the outputs of modules of a measured step: not every table is kept, see `choice`.

        `ValueError` for a table that is not (modules, `MODULE_STATISTICS`).
        """
        self._measured.modules(table)

    @_while_open
    def _trouble(self, step: int) -> None:
        self._measured.around(step)

    @_while_open
    def finding(self, finding: Finding) -> None:
        """Store a finding, or its newer state; mere repeats are written now and then, and at the end."""
        self._findings[finding.id] = finding
        if _is_news(finding, self._written_findings.get(finding.id)):
            self._write_finding(finding)

    def _write_finding(self, finding: Finding) -> None:
        self._findings_file.write(layout.checked_line(FINDING.encode(finding)))
        self._written_findings[finding.id] = finding
        self._retention.around(finding.first_step, finding.last_step)
        self._measured.around(finding.last_step)

    @_while_open
    def acknowledgement(self, acknowledgement: Acknowledgement) -> None:
        """Store what the user has acknowledged."""
        self._acknowledgements.write(layout.checked_line(ACKNOWLEDGEMENT.encode(acknowledgement)))

    # --- commits ---

    @_while_open
    def commit(self, record: StepRecord, statistics: npt.NDArray[np.float32] | None) -> None:
        """Store a step, its events and its table: (parameters, `STATISTICS`) float32, None if unmeasured.

        `ValueError` for a step that is not after the last one and for a table of another shape.
        """
        self._check_step(record.step)
        table = None if statistics is None else self._checked(statistics)
        if self._steps.removed():
            raise FileNotFoundError(errno.ENOENT, "the recording's folder was removed", str(self.folder))
        self._commit(record, table)

    def _commit(self, record: StepRecord, table: npt.NDArray[np.float32] | None) -> None:
        place = self._segments.append(table)
        events = len(self._pending)
        chunk = self._write_events(record.step, events)
        graph = -1 if record.graph is None else self._interner.graph(record.graph)
        self._retention.committed(record.step, segment=place.segment, block=self._blocks.index)
        self._write_step(self._step_body(record, place=place, chunk=chunk, graph=graph))
        self._last_step = record.step
        del self._pending[:events]  # only now: an interrupt above leaves them for the tail

    def _check_step(self, step: int) -> None:
        if self._last_step is not None and step <= self._last_step:
            raise ValueError(f"step {step} cannot come after step {self._last_step}")

    def _checked(self, statistics: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        rows, columns = statistics.shape
        if columns != len(STATISTICS) or rows > self._parameter_count:
            raise ValueError(
                f"statistics must be (parameters <= {self._parameter_count}, {len(STATISTICS)}), not "
                f"{statistics.shape}"
            )
        return np.ascontiguousarray(statistics, dtype="<f4")

    def _write_events(self, step: int, count: int) -> tuple[int, int, int]:
        if not count:
            return _NO_CHUNK
        plain = self._encoder.encode(step, self._pending[:count])
        return self._blocks.write(layout.compact(plain) + b"\n")

    def _step_body(
        self, record: StepRecord, *, place: Place, chunk: tuple[int, int, int], graph: int
    ) -> bytes:
        loss, scale = record.loss, record.scale
        return _BODY.pack(
            *(record.step, record.time, record.duration),
            *(0.0 if loss is None else loss, 0.0 if scale is None else scale),
            *(graph, place.segment, place.row, place.crc),
            *chunk,
            *(self._interner.count, self._parameter_count, self._optimizer_count),
            self._blocks.index if chunk[1] else -1,
            layout.HAS_LOSS * (loss is not None) + layout.HAS_SCALE * (scale is not None),
        )

    def _write_step(self, body: bytes) -> None:
        check = zlib.crc32(body, self._steps_crc)
        ending = _CHECK.pack(check)
        self._steps.write(body + ending)
        self._steps_crc = zlib.crc32(ending, check)

    # --- the end ---

    @_while_open
    def close(self, reason: str = "finished") -> None:
        """End the recording and say why; events since the last commit are kept as its tail."""
        self._finish(reason)

    def _finish(self, reason: str) -> None:
        pending = self._pending
        tail = self._write_events(pending[0].step, len(pending)) if pending else _NO_CHUNK
        for finding in self._findings.values():
            if finding != self._written_findings[finding.id]:
                self._write_finding(finding)
        self._segments.close()
        steps = self._steps.size // layout.STEP.itemsize
        closed = {
            "reason": reason,
            "steps": steps,
            "block": self._blocks.index,
            "tail": tail,
            **self._measured.lines(),
        }
        layout.write_whole(self._rank / layout.CLOSED, layout.checked_line(closed))
        self._close_files()

    def _close_files(self) -> None:
        self._open = False
        for file in self._files():
            file.close()

    def _files(self) -> tuple[Appender | EventBlocks | MeasuredWriter, ...]:
        definitions = (self._parameters, self._optimizers, self._interned)
        return (
            *definitions,
            self._findings_file,
            self._acknowledgements,
            self._steps,
            self._blocks,
            self._measured,
        )

    def may_write(self) -> bool:
        """Whether calls store anything: not after `close` or a write error, nor in a forked child."""
        return self._open and os.getpid() == self._pid

    def give_up(self) -> None:
        """Stop without sealing or an end: the disk has failed."""
        self._segments.abandon()
        self._pending.clear()
        self._close_files()


def _is_news(finding: Finding, written: Finding | None) -> bool:
    if written is None:
        return True
    if (finding.severity, finding.message, finding.acknowledged) != (
        *(written.severity, written.message, written.acknowledged),
    ):
        return True
    return finding.count >= written.count * _COUNT_GROWTH


def _require_next(what: str, index: int, count: int) -> None:
    if index != count:
        raise ValueError(f"{what} {index} cannot be added after {count} others: its index must be {count}")


@contextmanager
def _usage_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        state = "exists already" if os.path.isdir(error.filename) else "is a file"
        raise UsageError(
            f"no recording can be written to {folder}: {error.filename} {state}. Choose another folder."
        ) from None
    except OSError as error:
        raise UsageError(
            f"no recording can be written to {folder}: {error.strerror or error}. Choose a folder you may "
            "write to, on a disk with free space."
        ) from None
