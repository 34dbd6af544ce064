import pytest

from graddebug.records import Site
from graddebug.trace import interning
from graddebug.trace.format import Damaged, parse_checked_line
from graddebug.trace.interning import Definitions, Interner


def test_defined_once_before_use() -> None:
    """The first use defines, later ones refer."""
    lines: list[bytes] = []
    interner = Interner(lines.append)
    site = Site("a.py", 1, "f")
    assert [interner.site(site), interner.parameters((0, 1)), interner.graph("00ff")] == [0, 1, 2]
    assert [interner.site(site), interner.parameters((0, 1)), interner.graph("00ff")] == [0, 1, 2]
    assert len(lines) == interner.count == 3


def test_equal_values_are_one_definition() -> None:
    """Equal sets that are different objects get one number."""
    interner = Interner(lambda line: None)
    assert interner.parameters(tuple(range(5))) == interner.parameters(tuple(range(5)))
    assert interner.parameters(tuple(range(5))) != interner.parameters(tuple(range(6)))


def test_definitions_are_learned_in_order() -> None:
    """A definition's number is the place of its line."""
    lines: list[bytes] = []
    interner = Interner(lines.append)
    interner.graph("00ff")
    interner.parameters((3, 4, 9))
    definitions = Definitions()
    for line in lines:
        definitions.learn(parse_checked_line(line), parameters=10)
    assert (definitions.graphs, definitions.sets) == ({0: "00ff"}, {1: (3, 4, 9)})


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values beyond the limit are forgotten and defined again, never confused."""
    monkeypatch.setattr(interning, "_REMEMBERED", 3)
    monkeypatch.setattr(interning, "_REMEMBERED_OBJECTS", 2)
    lines: list[bytes] = []
    interner = Interner(lines.append)
    numbers = [interner.parameters((index % 5,)) for index in range(20)]
    definitions = Definitions()
    for line in lines:
        definitions.learn(parse_checked_line(line), parameters=10)
    assert [definitions.sets[number] for number in numbers] == [(index % 5,) for index in range(20)]


def test_definition_of_nothing_is_damage() -> None:
    """A line that defines nothing known is refused."""
    with pytest.raises(Damaged):
        Definitions().learn({"colour": "red"}, parameters=0)
