"""How records become plain JSON values and back: tables built once from the dataclasses themselves.

A record is stored as an object of its fields; a field that has its default is left out. Numbers that
JSON lacks are stored as the strings ``"nan"``, ``"inf"`` and ``"-inf"``. Every field type a record
may use is listed in `WAYS`; a new one fails when this module is imported.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from graddebug.graph import BackwardGraph, GraphNode, SavedTensor
from graddebug.records import (
    Acknowledgement,
    Finding,
    Operand,
    OptimizerInfo,
    Origin,
    ParameterInfo,
    ParameterSet,
    Role,
    RunInfo,
    Severity,
    Site,
)
from graddebug.trace.format import Damaged

T = TypeVar("T")
Convert = Callable[[Any], Any]

#: A set of parameters is stored as ranges; a damaged one may not ask for more than this many indices.
_PARAMETERS_AT_MOST = 65_536


class Way(NamedTuple):
    """How values of one type are stored; None for ``encode`` where they are plain already."""

    encode: Convert | None
    decode: Convert


class Column(NamedTuple):
    """How one field of a record is stored."""

    name: str
    default: object
    encode: Convert | None
    decode: Convert


# --- values ---------------------------------------------------------------------------------


def exactly(*types: type) -> Convert:
    """A decoder that takes values of these types as they are; `Damaged` for others."""

    def decode(value: object) -> object:
        if type(value) not in types:
            raise Damaged(f"expected {types[0].__name__}, found {value!r:.60}")
        return value

    return decode


def _encode_float(value: float | None) -> object:
    if value is None or math.isfinite(value):
        return value if value is None else float(value)
    return repr(float(value))


def _decode_float(value: object) -> float | None:
    if type(value) is float or value is None:
        return value
    if type(value) is int or value in ("nan", "inf", "-inf"):
        return float(value)
    raise Damaged(f"expected a number, found {value!r:.60}")


def _encode_free(value: object) -> object:
    """Numbers, strings and lists of them as they are; NaN and inf as ``{"float": "nan"}``."""
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, list | tuple):
        return [_encode_free(item) for item in value]
    if isinstance(value, dict):
        return {"dict": [[str(key), _encode_free(item)] for key, item in value.items()]}
    return value


def _decode_free(value: object) -> object:
    if isinstance(value, list):
        return [_decode_free(item) for item in value]
    if isinstance(value, dict):
        if "float" in value:
            return _decode_float(value["float"])
        return {key: _decode_free(item) for key, item in _pairs(value.get("dict"))}
    return value


def _pairs(value: object) -> list[tuple[str, object]]:
    if not isinstance(value, list):
        raise Damaged(f"expected a list of pairs, found {value!r:.60}")
    return [(str(pair[0]), pair[1]) for pair in value if isinstance(pair, list) and len(pair) == 2]


def _encode_evidence(value: Mapping[str, object]) -> dict[str, object]:
    return {key: _encode_free(item) for key, item in value.items()}


def _decode_evidence(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Damaged(f"expected an object, found {value!r:.60}")
    return {key: _decode_free(item) for key, item in value.items()}


def _decode_severity(value: object) -> Severity:
    try:
        return Severity.from_word(str(value))
    except KeyError:
        raise Damaged(f"expected a severity, found {value!r:.60}") from None


def _tuple_of(way: Way) -> Way:
    encode, decode_item = way.encode, way.decode

    def decode(value: object) -> tuple[object, ...]:
        if type(value) is not list:
            raise Damaged(f"expected a list, found {value!r:.60}")
        return tuple(decode_item(item) for item in value)

    return Way(list if encode is None else lambda value: [encode(item) for item in value], decode)


def ranges(indices: ParameterSet) -> list[list[int]]:
    """A sorted set of indices as inclusive ranges: ``(0, 1, 2, 5)`` is ``[[0, 2], [5, 5]]``."""
    found: list[list[int]] = []
    for index in indices:
        if found and found[-1][1] == index - 1:
            found[-1][1] = index
        else:
            found.append([index, index])
    return found


def from_ranges(value: object, *, parameters: int) -> ParameterSet:
    """The set that `ranges` stored; `Damaged` if it names more than a run of so many parameters can have."""
    limit = max(parameters, _PARAMETERS_AT_MOST)
    indices: list[int] = []
    for pair in value if isinstance(value, list) else ():
        first, last = pair if isinstance(pair, list) and len(pair) == 2 else (None, None)
        if type(first) is not int or type(last) is not int or not 0 <= first <= last < limit:
            raise Damaged(f"a set of parameters holds {pair!r:.60}")
        indices.extend(range(first, last + 1))
        if len(indices) > limit:
            raise Damaged(f"a set names more than {limit:,} parameters")
    return tuple(indices)


_INT = Way(None, exactly(int))
_TEXT = Way(None, exactly(str))
_FLOAT = Way(_encode_float, _decode_float)
_INTS = _tuple_of(_INT)

#: By annotation, as the dataclasses spell it.
WAYS: dict[str, Way] = {
    "int": _INT,
    "str": _TEXT,
    "bool": Way(None, exactly(bool)),
    "float": _FLOAT,
    "float | None": _FLOAT,
    "int | None": Way(None, exactly(int, type(None))),
    "str | None": Way(None, exactly(str, type(None))),
    "tuple[int, ...]": _INTS,
    "tuple[int, int]": _INTS,
    "tuple[str, ...]": _tuple_of(_TEXT),
    "tuple[float, ...]": _tuple_of(_FLOAT),
    "tuple[tuple[int, ...], ...]": _tuple_of(_INTS),
    "tuple[tuple[int, int], ...]": _tuple_of(_INTS),
    "dict[str, object]": Way(_encode_evidence, _decode_evidence),
    "Severity": Way(lambda severity: severity.word, _decode_severity),
}


# --- records --------------------------------------------------------------------------------


def columns(record: type, ways: Mapping[str, Way]) -> tuple[Column, ...]:
    """How each field of a dataclass is stored; `KeyError` for a type that no way is known for."""
    return tuple(
        Column(field.name, _default(field), *ways[str(field.type)]) for field in dataclasses.fields(record)
    )


def _default(field: dataclasses.Field[Any]) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


class Codec(Generic[T]):
    """Stores records of one type; decoding checks every value."""

    def __init__(self, record: type[T]) -> None:
        self._record = record
        self._columns = columns(record, WAYS)
        self._by_name = {column.name: column for column in self._columns}

    @property
    def way(self) -> Way:
        """How such a record is stored as the value of another record's field."""
        return Way(self.encode, self.decode)

    def encode(self, value: T) -> dict[str, Any]:
        """Fields that differ from their default, by name."""
        return encode_columns(value, self._columns)

    def decode(self, plain: object) -> T:
        """The record; `Damaged` if a field is missing, unknown or of another type."""
        if not isinstance(plain, dict):
            raise Damaged(f"expected an object, found {plain!r:.60}")
        try:
            return self._record(**{key: self._by_name[key].decode(v) for key, v in plain.items()})
        except (KeyError, TypeError) as error:
            raise Damaged(f"no {self._record.__name__}: {error}") from None


def encode_columns(value: object, table: tuple[Column, ...]) -> dict[str, Any]:
    """Fields of a record that differ from their default, by name."""
    plain: dict[str, Any] = {}
    for name, default, encode, _ in table:
        item = getattr(value, name)
        if item is not default and item != default:
            plain[name] = item if encode is None else encode(item)
    return plain


SITE = Codec(Site)
WAYS["Site"] = SITE.way
WAYS["Site | None"] = Way(
    lambda site: None if site is None else SITE.encode(site),
    lambda plain: None if plain is None else SITE.decode(plain),
)
WAYS["tuple[Site, ...]"] = _tuple_of(SITE.way)
WAYS["tuple[Operand, ...]"] = _tuple_of(Codec(Operand).way)
WAYS["tuple[Origin, ...]"] = _tuple_of(Codec(Origin).way)
WAYS["tuple[Role, ...]"] = _tuple_of(Codec(Role).way)
WAYS["tuple[SavedTensor, ...]"] = _tuple_of(Codec(SavedTensor).way)
WAYS["tuple[GraphNode, ...]"] = _tuple_of(Codec(GraphNode).way)
RUN = Codec(RunInfo)
PARAMETER = Codec(ParameterInfo)
OPTIMIZER = Codec(OptimizerInfo)
FINDING = Codec(Finding)
ACKNOWLEDGEMENT = Codec(Acknowledgement)
_GRAPH = Codec(BackwardGraph)


def encode_graph(graph: BackwardGraph) -> dict[str, Any]:
    """A backward graph as plain values."""
    return _GRAPH.encode(graph)


def decode_graph(plain: object) -> BackwardGraph:
    """The graph; `Damaged` if an edge or a root leads to no node."""
    graph = _GRAPH.decode(plain)
    targets = [*graph.roots, *(target for node in graph.nodes for target, _ in node.next)]
    if not all(0 <= target < len(graph.nodes) for target in targets):
        raise Damaged("an edge of the graph leads to no node")
    if any(node.index != place for place, node in enumerate(graph.nodes)):
        raise Damaged("the nodes of the graph are out of order")
    sites = range(len(graph.sites))
    if not all(node.site is None or node.site in sites for node in graph.nodes):
        raise Damaged("a node of the graph names no line")
    return graph
