"""Reads a recording, finished or still growing, as far as it is whole."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from graddebug.errors import TraceError, UsageError
from graddebug.graph import BackwardGraph
from graddebug.records import (
    STATISTICS,
    Acknowledgement,
    Event,
    Finding,
    ModuleTable,
    NodeTable,
    OptimizerInfo,
    ParameterInfo,
    RunInfo,
    StepRecord,
)
from graddebug.trace import format as layout
from graddebug.trace.chunks import Chunks
from graddebug.trace.codec import decode_graph
from graddebug.trace.format import Damaged
from graddebug.trace.lod import Floats
from graddebug.trace.lod import Steps as StepNumbers
from graddebug.trace.opening import run_info
from graddebug.trace.reach import Limit, Reach
from graddebug.trace.series import SeriesReader
from graddebug.trace.steps import CommitLog, Steps, committed_by_segment
from graddebug.trace.table import Committed, Segments
from graddebug.trace.tables import Tables

T = TypeVar("T")


class Recording:
    """A recording on disk; made by `open`.

    ``steps`` are the committed steps in order. ``cut`` is None, or a sentence that says where reading
    stopped because the recording is damaged or its end is missing.
    """

    def __init__(self, folder: Path, info: RunInfo) -> None:
        rank = folder / layout.rank_folder(info.rank)
        self.folder = folder
        self.info = info
        self.cut: str | None = None
        self._tables = tables = Tables(folder, rank)
        self._log = CommitLog(rank / layout.STEPS)
        self._segments = Segments(rank)
        self._chunks = Chunks(rank, tables.definitions.forms)
        self._reach = Reach(self._log, tables, self._chunks, self._segments)
        self._event_damage: str | None = None
        self._accept()

    @classmethod
    def open(cls, folder: str | Path) -> Recording:
        """Open a recording; `TraceError` with one message if there is none or it cannot be read."""
        path = Path(folder)
        try:
            recording = cls(path, run_info(path))
        except OSError as error:
            raise _unreadable(path, error) from None
        recording.refresh()
        return recording

    def refresh(self) -> bool:
        """Read what the run has added since; whether there was anything new. `TraceError` as for `open`."""
        try:
            return self._refresh()
        except OSError as error:
            raise _unreadable(self.folder, error) from None

    def _refresh(self) -> bool:
        before = len(self), self.cut
        self._log.refresh()  # first: what it vouches for was written before it
        learned = self._tables.refresh()
        self._segments.refresh()
        self._accept()
        return learned or before != (len(self), self.cut)

    def _accept(self) -> None:
        """Take as many steps as can be read, and say why no more."""
        limit = self._reach.limit()
        self._records = self._log.records[: None if limit is None else limit.steps]
        committed = committed_by_segment(self._records)
        self._series = SeriesReader(self._segments, committed)
        self.steps = Steps(self._records, self._tables.definitions.graphs)
        self.cut = self._cut_at(limit) if limit else self._event_damage or self._table_damage()

    def _cut_at(self, limit: Limit) -> str:
        upto = f"it is read up to step {self.last_step:,}" if len(self) else "no step can be read"
        return f"the recording is damaged or its end is missing ({limit.reason}): {upto}"

    def _table_damage(self) -> str | None:
        damage = next(self._tables.damages(), None)
        return damage and f"the recording is damaged ({damage}): what follows in that file is missing"

    # --- what is in it ---

    def __len__(self) -> int:
        return len(self._records)

    @property
    def parameters(self) -> list[ParameterInfo]:
        """All parameters known so far, by index."""
        return self._tables.parameters

    @property
    def optimizers(self) -> list[OptimizerInfo]:
        """All optimizers known so far, by index."""
        return self._tables.optimizers

    @property
    def findings(self) -> list[Finding]:
        """The latest state of each finding, in order of first appearance."""
        return list(self._tables.findings.values())

    @property
    def acknowledgements(self) -> list[Acknowledgement]:
        """What the user has acknowledged, as far as the run knew of it."""
        return list(self._tables.acknowledgements.values())

    @property
    def closed(self) -> str | None:
        """Why the run ended; None while it runs, and for ever if it was killed."""
        return self._tables.ending.reason if self._tables.ending else None

    @property
    def dropped(self) -> str | None:
        """A sentence about what the size cap took; None if nothing."""
        full = [table.full for table in (self._tables.nodes, self._tables.modules) if table.full is not None]
        return self._tables.dropped.sentence(tables=min(full, default=None))

    @property
    def first_step(self) -> int | None:
        """Number of the first committed step; None while there is none."""
        return int(self._records["step"][0]) if len(self) else None

    @property
    def last_step(self) -> int | None:
        """Number of the last committed step; None while there is none."""
        return int(self._records["step"][-1]) if len(self) else None

    def step(self, step: int) -> StepRecord:
        """The record of a step; `KeyError` if it was not committed."""
        return self.steps[self._place(step)]

    def _place(self, step: int) -> int:
        place = int(np.searchsorted(self._records["step"], step))
        if place == len(self) or self._records["step"][place] != step:
            raise KeyError(step)
        return place

    def losses(self) -> tuple[StepNumbers, npt.NDArray[np.float64]]:
        """Step numbers (int64) and losses (float64, NaN where there was none) of all steps."""
        known = self._records["flags"] & layout.HAS_LOSS != 0
        return self._records["step"].astype(np.int64), np.where(known, self._records["loss"], np.nan)

    def nonfinite_losses(self) -> StepNumbers:
        """Steps (int64) whose loss was NaN or inf; the NaN of `losses` may also be a loss not seen."""
        known = self._records["flags"] & layout.HAS_LOSS != 0
        bad = known & ~np.isfinite(self._records["loss"])
        steps: StepNumbers = self._records["step"][bad].astype(np.int64)
        return steps

    def graph(self, hash: str) -> BackwardGraph:  # noqa: A002 - the word of `BackwardGraph`
        """A backward graph; `KeyError` if the recording has none of that hash, `TraceError` if damaged."""
        try:
            path = self.folder / layout.GRAPHS / layout.graph_file(hash)
            data = path.read_bytes()
        except (ValueError, FileNotFoundError):
            raise KeyError(hash) from None
        except OSError as error:
            raise TraceError(f"{path} cannot be read: {error.strerror}.") from None
        graph = self._or_trace_error(lambda: decode_graph(layout.unpack_graph(data)), path.name)
        if graph.hash != hash:
            raise TraceError(f"{path} is damaged: it holds another graph, {graph.hash[:40]!r}.")
        return graph

    # --- events ---

    def events(self, first: int | None = None, last: int | None = None) -> Iterator[Event]:
        """Events of the steps ``first`` to ``last`` (both included) in order, a megabyte in memory at a time.

        Without ``last``, those after the last committed step follow. If the events of a step turn out to
        be damaged, they end before that step, and ``cut`` says so from then on; its steps stay, for their
        statistics have checksums of their own.
        """
        for place, chunk, crc in self._chunks_of(first, last):
            try:
                events = self._chunks.decode(chunk, crc)
            except Damaged as error:
                self._note_damage(int(self._records["step"][place]), error)
                return
            yield from events
        yield from self._tail(first, last)

    def _chunks_of(self, first: int | None, last: int | None) -> Iterator[tuple[int, bytes, int]]:
        records = self._records
        wanted = (records["events_length"] > 0) & ~np.isin(
            records["block"], list(self._tables.dropped.blocks)
        )
        if first is not None:
            wanted &= records["step"] >= first
        if last is not None:
            wanted &= records["step"] <= last
        places = np.flatnonzero(wanted)
        crcs = records["events_crc"][places].tolist()
        for index, chunk in self._chunks.read(records[places]):
            yield int(places[index]), chunk, crcs[index]

    def _note_damage(self, step: int, error: Damaged) -> None:
        self._event_damage = f"the events of step {step:,} are damaged ({error}): replay ends before it"
        self.cut = self.cut or self._event_damage

    def _tail(self, first: int | None, last: int | None) -> Iterator[Event]:
        ending = self._tables.ending
        if ending is None or not ending.tail_length or len(self) < ending.steps:
            return
        try:
            events = self._chunks.at(ending.block, ending.tail_at, ending.tail_length, ending.tail_crc)
        except Damaged as error:
            self.cut = self.cut or f"the events after the last step are damaged: {error}"
            return
        for event in events:
            if (first is None or event.step >= first) and (last is None or event.step <= last):
                yield event

    # --- measured now and then ---

    def node_steps(self) -> list[int]:
        """Steps of which a backward's table of nodes was kept, in order."""
        return self._up_to_the_end(self._tables.nodes.steps())

    def nodes(self, step: int) -> list[NodeTable]:
        """The tables of nodes of a step, one a backward of which it was kept; `TraceError` if damaged."""
        where = f"a table of nodes of step {step:,}"
        return self._or_trace_error(lambda: self._tables.nodes.node_tables(step), where)

    def module_steps(self) -> list[int]:
        """Steps of which the table of modules was kept, in order."""
        return self._up_to_the_end(self._tables.modules.steps())

    def modules(self, step: int) -> ModuleTable | None:
        """The table of modules of a step, None if none was kept; `TraceError` if damaged."""
        where = f"the table of modules of step {step:,}"
        return self._or_trace_error(lambda: self._tables.modules.module_table(step), where)

    def _up_to_the_end(self, steps: list[int]) -> list[int]:
        """Steps that are part of the recording: committed ones, and what follows them before a proper end."""
        if self._tables.ending is not None and not self.cut:
            return steps
        last = self.last_step
        return [] if last is None else steps[: bisect_right(steps, last)]

    # --- statistics ---

    def statistics(self, step: int) -> Floats:
        """A step's table, (parameters, `STATISTICS`) float32; NaN where unmeasured, dropped or not yet known.

        `KeyError` if the step was not committed, `TraceError` if its row is damaged.
        """
        record = self._records[self._place(step)]
        segment, row, crc = (int(record[name]) for name in ("segment", "row", "row_crc"))
        table = np.full((len(self.parameters), len(STATISTICS)), np.nan, dtype=np.float32)
        if segment >= 0:
            where = f"the statistics of step {step:,}"
            found = self._or_trace_error(
                lambda: self._segments.ask(segment, lambda part: part.row(row, crc)), where
            )
            if found is not None:
                table[: len(found)] = found[: len(table)]
        return table

    def measured(self) -> Iterator[tuple[StepRecord, Floats | None]]:
        """All steps in order, each with its table as of `statistics`, at least as many rows as it measured.

        None where a step has none, or none any more, or where its segment is damaged. A segment is read at
        once, so this is much faster than asking for one step after the other.
        """
        records = iter(self.steps)
        at = 0
        for segment, committed in committed_by_segment(self._records).items():
            places = np.flatnonzero(self._records["segment"] == segment)
            tables = self._tables_of(segment, committed)
            for place, table in zip(places.tolist(), tables, strict=True):
                yield from ((record, None) for record in islice(records, place - at))
                yield next(records), table
                at = place + 1
        yield from ((record, None) for record in records)

    def _tables_of(self, segment: int, committed: Committed) -> list[Floats | None]:
        found: list[Floats | None] = [None] * len(committed.rows)
        try:
            places, tables = self._segments.ask(segment, lambda part: part.tables(committed))
        except Damaged as error:
            first, last = committed.steps[[0, -1]].tolist()
            where = f"the statistics of steps {first:,} to {last:,} are damaged"
            self.cut = self.cut or f"{where} ({error}): rules that need them see nothing there"
            return found
        for place, table in zip(places.tolist(), tables, strict=True):
            found[place] = table
        return found

    def series(self, parameter: int, statistic: str) -> tuple[StepNumbers, Floats]:
        """One statistic over all steps that have it kept: step numbers (int64) and values (float32).

        `IndexError` for an unknown parameter, `UsageError` for an unknown statistic, `TraceError` if damaged.
        """
        column = self._column(parameter, statistic)
        where = f"{statistic} of {self.parameters[parameter].name}"
        return self._or_trace_error(lambda: self._series.series(parameter, column), where)

    def overview(self, parameter: int, statistic: str, points: int) -> tuple[StepNumbers, Floats, Floats]:
        """At most ``points`` buckets of a series: first step (int64), lowest and highest value (float32).

        NaN is left out of a bucket that holds anything else. Errors as for `series`.
        """
        column = self._column(parameter, statistic)
        where = f"{statistic} of {self.parameters[parameter].name}"
        return self._or_trace_error(lambda: self._series.overview(parameter, column, max(1, points)), where)

    def _column(self, parameter: int, statistic: str) -> int:
        if not 0 <= parameter < len(self.parameters):
            raise IndexError(f"parameter {parameter} of {len(self.parameters)}")
        if statistic not in STATISTICS:
            raise UsageError(f"there is no statistic {statistic!r}: choose one of {', '.join(STATISTICS)}")
        return STATISTICS.index(statistic)

    def _or_trace_error(self, read: Callable[[], T], where: str) -> T:
        try:
            return read()
        except Damaged as error:
            raise TraceError(
                f"{where} cannot be read: {self.folder} is damaged there ({error}). The rest is readable."
            ) from None


def _unreadable(folder: Path, error: OSError) -> TraceError:
    return TraceError(f"{folder} cannot be read: {error.strerror or error}.")
