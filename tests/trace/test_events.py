import dataclasses
from typing import Any

import pytest

from graddebug.records import EVENTS, Backward, Event, Operand, OptimizerStep, Origin, RunEnd, Site
from graddebug.trace.events import EventEncoder, Interning, decode_events
from graddebug.trace.format import Damaged, compact, parse, parse_checked_line
from graddebug.trace.interning import Definitions, Interner
from tests.trace.small_run import BACKWARD, events_of

#: A value that is no default, by annotation.
VALUES: dict[str, object] = {
    "int": 7,
    "str": "word",
    "bool": True,
    "float": 2.5,
    "float | None": float("-inf"),
    "int | None": 3,
    "str | None": "word",
    "tuple[int, ...]": (4, 5),
    "tuple[float, ...]": (0.5, float("inf")),
    "tuple[str, ...]": ("word", "other"),
    "ParameterSet": (0, 1, 4),
    "Site | None": BACKWARD,
    "tuple[Origin, ...]": (
        Origin(
            born="backward",
            op="SqrtBackward0",
            node=3,
            site=BACKWARD,
            incoming=0.5,
            operands=(Operand(name="self", shape=(2, 3), minimum=0.0, maximum=1.5, parameter=1),),
        ),
        Origin(born="data", incoming=float("-inf")),
    ),
}


def full(kind: type[Event]) -> Event:
    """An event of which no field has its default."""
    values: dict[str, Any] = {field.name: VALUES[str(field.type)] for field in dataclasses.fields(kind)}
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    for name, value in values.items():
        if value is defaults[name]:
            values[name] = not value
    return kind(**values)


class Wire:
    """An encoder and what it has defined."""

    def __init__(self) -> None:
        self.definitions = Definitions()
        self.defined = 0
        interner = Interner(self._define)
        self.encoder = EventEncoder(Interning(interner.site, interner.parameters, interner.form))

    def _define(self, line: bytes) -> None:
        self.definitions.learn(parse_checked_line(line), parameters=10)
        self.defined += 1

    def there_and_back(self, step: int, events: list[Event]) -> list[Event]:
        plain = parse(compact(self.encoder.encode(step, events)))
        return decode_events(plain, self.definitions.forms)


@pytest.mark.parametrize("kind", EVENTS.values(), ids=EVENTS)
def test_every_field_of_every_event_comes_back(kind: type[Event]) -> None:
    """An event of each kind with no field at its default is the same after storing."""
    (back,) = Wire().there_and_back(7, [full(kind)])
    assert back == full(kind)
    assert type(back) is kind


@pytest.mark.parametrize("kind", EVENTS.values(), ids=EVENTS)
def test_every_default_comes_back(kind: type[Event]) -> None:
    """An event with nothing but what it must have is the same after storing."""
    needed: dict[str, Any] = {
        field.name: VALUES[str(field.type)]
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING
    }
    (back,) = Wire().there_and_back(7, [kind(**needed)])
    assert repr(back) == repr(kind(**needed))


def test_excerpts_come_back() -> None:
    """The quoted source, which does not count in comparing sites, is stored too."""
    (back,) = Wire().there_and_back(0, [Backward(step=0, order=0, site=BACKWARD)])
    assert back.site is not None
    assert back.site.excerpt == BACKWARD.excerpt


def test_repeated_events_cost_no_definitions() -> None:
    """A second step like the first defines nothing new."""
    wire = Wire()
    wire.there_and_back(0, events_of(0))
    before = wire.defined
    assert wire.there_and_back(1, events_of(1)) == events_of(1)
    assert wire.defined == before


def test_equal_forms_of_other_objects_are_one() -> None:
    """A set that was not interned by who made it is defined once all the same."""
    wire = Wire()
    for order in range(3):
        site = Site("a.py", 1, "f")
        wire.there_and_back(0, [Backward(step=0, order=order, site=site, written=tuple(range(2)))])
    assert wire.defined == 4  # the site, two sets (one empty), the form


def test_step_and_order_out_of_line_are_kept() -> None:
    """Events that skip an order or belong to another step say so."""
    events: list[Event] = [
        RunEnd(step=2, order=5, reason="finished"),
        OptimizerStep(step=3, order=9, optimizer=0, params=(0,)),
        RunEnd(step=2, order=1, reason="finished"),
    ]
    assert Wire().there_and_back(2, events) == events


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        {"step": 0, "order": 0},
        {"step": 0, "order": 0, "events": [[99]]},
        {"step": 0, "order": 0, "events": [[0]]},
        {"step": 0, "order": 0, "events": [{}]},
        {"step": 0, "order": 0, "events": [[1, {"surprise": 1}]]},
        {"step": 0, "order": 0, "events": [[1, {"loss": "lots"}]]},
        {"step": 0, "order": "a", "events": [[1]]},
        {"step": "a", "order": 0, "events": [[1]]},
    ],
)
def test_what_are_no_events_is_damage(plain: object) -> None:
    """Unknown forms, unknown numbers and mistyped ones are one error."""
    definitions = Definitions()
    definitions.learn({"site": {"file": "a", "line": 1, "function": "f"}}, parameters=0)
    definitions.learn({"event": {"kind": "backward", "site": 0}}, parameters=0)
    with pytest.raises(Damaged):
        decode_events(plain, definitions.forms)


def test_missing_number_is_damage() -> None:
    """An event that must say which step it ends cannot leave it out."""
    definitions = Definitions()
    definitions.learn({"event": {"kind": "step_end", "optimizer": 0}}, parameters=0)
    with pytest.raises(Damaged, match="lacks"):
        decode_events({"step": 0, "order": 0, "events": [[0]]}, definitions.forms)


@pytest.mark.parametrize(
    "form",
    [
        {"kind": "unheard of"},
        {},
        {"kind": "backward", "site": 0},
        {"kind": "backward", "surprise": 1},
        {"kind": "backward", "leaf_root": 1},
        {"kind": "cleared", "how": "x"},
    ],
)
def test_what_is_no_form_is_damage(form: object) -> None:
    """A form of an unknown kind, with an unknown, mistyped, missing or undefined field is refused."""
    with pytest.raises(Damaged):
        Definitions().learn({"event": form}, parameters=0)
