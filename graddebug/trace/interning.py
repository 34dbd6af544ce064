"""Sites, sets, graph names and forms of events as small numbers: defined once, then referred to.

A definition's number is the place of its line in the file, counted from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from graddebug.records import ParameterSet, Site
from graddebug.trace import format as layout
from graddebug.trace.codec import SITE, from_ranges, ranges
from graddebug.trace.events import Form, FormDecoder
from graddebug.trace.format import Damaged

K = TypeVar("K", bound=Hashable)

#: Definitions remembered a kind; beyond it they are forgotten and may be defined again.
_REMEMBERED = 65_536
#: Objects remembered by identity: hashing a set of a thousand parameters costs microseconds.
_REMEMBERED_OBJECTS = 4_096


class _Numbers(dict[Hashable, int]):
    """What has a number, by value and by identity."""

    def __init__(self) -> None:
        super().__init__()
        self._objects: dict[int, tuple[object, int]] = {}

    def of(self, value: Hashable) -> int | None:
        # The object is kept beside its number, so its id cannot come to mean another one.
        if known := self._objects.get(id(value)):
            return known[1]
        number = self.get(value)
        if number is not None:
            self._remember(value, number)
        return number

    def learn(self, value: Hashable, number: int) -> None:
        if len(self) >= _REMEMBERED:
            self.clear()
        self[value] = number
        self._remember(value, number)

    def _remember(self, value: object, number: int) -> None:
        if len(self._objects) >= _REMEMBERED_OBJECTS:
            self._objects.clear()
        self._objects[id(value)] = (value, number)


class Interner:
    """Numbers sites, sets and graph names, and writes each one's definition before its first use."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self.count = 0
        self._sites = _Numbers()
        self._sets = _Numbers()
        self._graphs = _Numbers()
        self._forms: dict[tuple[object, ...], int] = {}

    def site(self, site: Site) -> int:
        """The number of a source line."""
        number = self._sites.of(site)
        return self._define(self._sites, site, {"site": SITE.encode(site)}) if number is None else number

    def parameters(self, indices: ParameterSet) -> int:
        """The number of a set of parameters."""
        number = self._sets.of(indices)
        return self._define(self._sets, indices, {"set": ranges(indices)}) if number is None else number

    def graph(self, name: str) -> int:
        """The number of a graph's hash."""
        number = self._graphs.of(name)
        return self._define(self._graphs, name, {"graph": name}) if number is None else number

    def form(self, key: tuple[object, ...], plain: dict[str, Any]) -> int:
        """The number of a form of events."""
        number = self._forms.get(key)
        if number is None:
            if len(self._forms) >= _REMEMBERED:
                self._forms.clear()
            number = self._forms[key] = self._write_definition({"event": plain})
        return number

    def _define(self, numbers: _Numbers, value: Hashable, plain: dict[str, Any]) -> int:
        number = self._write_definition(plain)
        numbers.learn(value, number)
        return number

    def _write_definition(self, plain: dict[str, Any]) -> int:
        self._write(layout.checked_line(plain))
        self.count += 1
        return self.count - 1


class Definitions:
    """What the numbers of a recording mean."""

    def __init__(self) -> None:
        self.count = 0
        self.sites: dict[int, Site] = {}
        self.sets: dict[int, ParameterSet] = {}
        self.graphs: dict[int, str] = {}
        self.forms: dict[int, Form] = {}
        self._form_decoder = FormDecoder(sites=self.sites, sets=self.sets)

    def learn(self, plain: dict[str, Any], *, parameters: int) -> None:
        """Take in the next definition of a run of so many parameters; `Damaged` if it is none."""
        if "site" in plain:
            self.sites[self.count] = SITE.decode(plain["site"])
        elif "set" in plain:
            self.sets[self.count] = from_ranges(plain["set"], parameters=parameters)
        elif "event" in plain:
            self.forms[self.count] = self._form_decoder.decode(plain["event"])
        elif type(plain.get("graph")) is str:
            self.graphs[self.count] = plain["graph"]
        else:
            raise Damaged("a definition of something unknown")
        self.count += 1
