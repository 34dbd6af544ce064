"""What benchmarks/mutants.py changes in a program."""

from __future__ import annotations

from mutants import mutants
from mutation_reasons import reason

LOOP = """\
for x in data:
    optimizer.zero_grad()
    loss(x.detach()).backward()
    optimizer.step()
with torch.no_grad():
    print(loss(x))
"""


def test_calls_are_removed_and_moved() -> None:
    """One change a mutant, named by what was done and to what."""
    assert [(one.line, one.change) for one in mutants(LOOP)] == [
        (2, "zero_grad moved behind backward"),
        (2, "zero_grad removed"),
        (3, "backward moved behind step"),
        (3, "backward removed"),
        (3, "detach removed"),
        (4, "step removed"),
        (5, "no_grad removed"),
    ]


def test_a_mutant_is_the_program_but_for_its_change() -> None:
    """Two statements in the other order; a block without its guard."""
    by_change = {one.change: one.source.splitlines() for one in mutants(LOOP)}
    moved = by_change["zero_grad moved behind backward"]
    assert moved[1:3] == ["    loss(x.detach()).backward()", "    optimizer.zero_grad()"]
    assert by_change["no_grad removed"][-1] == "print(loss(x))"
    assert by_change["detach removed"][2] == "    loss(x).backward()"


def test_an_unknown_change_has_no_reason() -> None:
    """A new miss must be looked at."""
    assert reason("a program", "a change") == ""
