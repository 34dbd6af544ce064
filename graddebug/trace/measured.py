"""Tables measured now and then, of nodes and of modules: numbers in one file, what they are in another.

A table's numbers are appended first, then the checked line that vouches for them. Each table has a
line and a checksum of its own, so damage to one takes no other away.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from graddebug.records import MODULE_STATISTICS, NODE_STATISTICS, ModuleTable, NodeTable
from graddebug.trace import format as layout
from graddebug.trace.appending import Appender
from graddebug.trace.choice import Choice
from graddebug.trace.codec import WAYS
from graddebug.trace.format import Damaged

Floats = npt.NDArray[np.float32]

#: Parts of the recording's size cap that tables of nodes and of modules may take.
NODES_SHARE, MODULES_SHARE = 4, 16


class NumbersFile:
    """Writes tables of one kind; beyond ``size_cap`` bytes it takes no more, and says from which step on."""

    def __init__(self, rank: Path, kind: str, *, size_cap: int) -> None:
        self._numbers = Appender(rank / layout.numbers_file(kind))
        self._lines = Appender(rank / layout.numbers_lines(kind))
        self._size_cap = size_cap
        self._full = False
        self.lines = 0

    def define(self, plain: dict[str, Any]) -> None:
        """Add a line that later tables refer to."""
        self._write_line(plain)

    def append(self, values: Floats, plain: dict[str, Any]) -> None:
        """Add a table of (rows, columns) and what it is."""
        if self._full or self._numbers.size + self._lines.size + values.nbytes > self._size_cap:
            self._say_full(plain["step"])
            return
        data, at = np.ascontiguousarray(values, dtype="<f4").tobytes(), self._numbers.size
        self._numbers.write(data)
        place = {"at": at, "rows": values.shape[0], "columns": values.shape[1], "data": zlib.crc32(data)}
        self._write_line({**plain, **place})

    def _say_full(self, step: int) -> None:
        if not self._full:
            self._full = True
            self._write_line({"full": step})

    def _write_line(self, plain: dict[str, Any]) -> None:
        self._lines.write(layout.checked_line(plain))
        self.lines += 1

    def close(self) -> None:
        """Close both files."""
        self._numbers.close()
        self._lines.close()


class MeasuredWriter:
    """Keeps what `Choice` chooses of the tables of a rank."""

    def __init__(self, rank: Path, *, size_cap: int) -> None:
        self._nodes = NumbersFile(rank, layout.NODES, size_cap=size_cap // NODES_SHARE)
        self._modules = NumbersFile(rank, layout.MODULES, size_cap=size_cap // MODULES_SHARE)
        self._node_choice: Choice[NodeTable] = Choice()
        self._module_choice: Choice[ModuleTable] = Choice()
        self._rows: dict[tuple[tuple[str, ...], tuple[str, ...]], int] = {}

    def nodes(self, table: NodeTable) -> None:
        """A backward was measured; `ValueError` for a table of another shape."""
        _check(table.values, (len(table.values), len(NODE_STATISTICS)))
        for kept in self._node_choice.measured(table):
            self._write_nodes(kept)

    def modules(self, table: ModuleTable) -> None:
        """A forward was measured; `ValueError` for a table of another shape."""
        _check(table.values, (len(table.modules), len(MODULE_STATISTICS)))
        if len(table.dtypes) != len(table.modules):
            raise ValueError(f"{len(table.modules)} modules need as many dtypes, not {len(table.dtypes)}")
        for kept in self._module_choice.measured(table):
            self._write_modules(kept)

    def around(self, step: int) -> None:
        """Something went wrong in this step: what was measured near it is to be kept."""
        for nodes in self._node_choice.around(step):
            self._write_nodes(nodes)
        for modules in self._module_choice.around(step):
            self._write_modules(modules)

    def _write_nodes(self, table: NodeTable) -> None:
        scale = WAYS["float"].encode
        assert scale is not None
        plain = {"step": table.step, "backward": table.backward, "graph": table.graph}
        self._nodes.append(table.values, {**plain, "scale": scale(table.scale)})

    def _write_modules(self, table: ModuleTable) -> None:
        names = self._rows.get((table.modules, table.dtypes))
        if names is None:
            names = self._rows[table.modules, table.dtypes] = len(self._rows)
            self._modules.define({"modules": list(table.modules), "dtypes": list(table.dtypes)})
        self._modules.append(table.values, {"step": table.step, "names": names})

    def lines(self) -> dict[str, int]:
        """How many lines say what the tables of each kind are."""
        return {layout.NODES: self._nodes.lines, layout.MODULES: self._modules.lines}

    def close(self) -> None:
        """Close all files."""
        self._nodes.close()
        self._modules.close()


def _check(values: Floats, shape: tuple[int, int]) -> None:
    if values.shape != shape:
        raise ValueError(f"the table must be {shape}, not {values.shape}")


# --- reading --------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where a table's numbers lie, and their CRC-32."""

    at: int
    rows: int
    columns: int
    crc: int

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Place:
        """The place that a line tells; `Damaged` if it makes no sense."""
        numbers = [plain.get(name) for name in ("at", "rows", "columns", "data")]
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise Damaged("a table's line does not say where its numbers are")
        return cls(*numbers)  # type: ignore[arg-type]


class Written(NamedTuple):
    """A table that can be read: its step, its line, and where its numbers are."""

    step: int
    plain: dict[str, Any]
    place: Place


class MeasuredReader:
    """The tables of one kind: `learn` takes the lines in, the numbers are read when asked for."""

    def __init__(self, rank: Path, kind: str) -> None:
        self._path = rank / layout.numbers_file(kind)
        self.name = layout.numbers_lines(kind)
        self.lines = 0
        self._written: dict[int, list[Written]] = {}
        self.full: int | None = None
        self.names: list[tuple[tuple[str, ...], tuple[str, ...]]] = []

    def learn(self, plain: dict[str, Any]) -> None:
        """Take in a line."""
        self.lines += 1
        if "full" in plain:
            self.full = _int(plain, "full")
        elif "modules" in plain:
            modules, dtypes = (WAYS["tuple[str, ...]"].decode(plain.get(n)) for n in ("modules", "dtypes"))
            self.names.append((modules, dtypes))
        else:
            written = Written(_int(plain, "step"), plain, Place.of(plain))
            self._written.setdefault(written.step, []).append(written)

    def steps(self) -> list[int]:
        """Steps that have a table, in order."""
        return sorted(self._written)

    def node_tables(self, step: int) -> list[NodeTable]:
        """Tables of the backwards of a step, in their order; `Damaged` if one is."""
        tables = [self._nodes(written) for written in self._written.get(step, ())]
        return sorted(tables, key=lambda table: table.backward)

    def module_table(self, step: int) -> ModuleTable | None:
        """The table of a step's forward, the last one if there are several; `Damaged` if it is."""
        written = self._written.get(step)
        return self._modules(written[-1]) if written else None

    def _nodes(self, written: Written) -> NodeTable:
        plain = written.plain
        graph, scale = WAYS["str"].decode(plain.get("graph")), WAYS["float"].decode(plain.get("scale"))
        values = self._values(written.place, len(NODE_STATISTICS))
        return NodeTable(
            step=written.step, backward=_int(plain, "backward"), graph=graph, scale=scale, values=values
        )

    def _modules(self, written: Written) -> ModuleTable:
        names = _int(written.plain, "names")
        if not 0 <= names < len(self.names):
            raise Damaged("its modules have no names")
        modules, dtypes = self.names[names]
        if not len(modules) == len(dtypes) == written.place.rows:
            raise Damaged(f"it names {len(modules):,} modules and has {written.place.rows:,} rows")
        values = self._values(written.place, len(MODULE_STATISTICS))
        return ModuleTable(step=written.step, modules=modules, dtypes=dtypes, values=values)

    def _values(self, place: Place, columns: int) -> Floats:
        """Numbers of (rows, columns): those that a newer version added are left out, missing ones NaN."""
        data = self._bytes(place.at, place.rows * place.columns * 4)
        if zlib.crc32(data) != place.crc:
            raise Damaged("its numbers do not match their checksum")
        stored = np.frombuffer(data, dtype="<f4").reshape(place.rows, place.columns)
        values = np.full((place.rows, columns), np.nan, dtype=np.float32)
        values[:, : place.columns] = stored[:, :columns]
        return values

    def _bytes(self, at: int, length: int) -> bytes:
        try:
            size = self._path.stat().st_size
            if at + length > size:
                raise Damaged(f"{self._path.name} ends too early")
            with self._path.open("rb") as file:
                file.seek(at)
                return file.read(length)
        except OSError as error:
            raise Damaged(f"{self._path.name} cannot be read: {error.strerror}") from None


def _int(plain: dict[str, Any], name: str) -> int:
    value = plain.get(name)
    if type(value) is not int:
        raise Damaged(f"a table's line lacks its {name}")
    return value
