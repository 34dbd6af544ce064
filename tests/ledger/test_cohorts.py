"""Cohorts: parameters that share a life, split when their ways part."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graddebug.ledger import Partition
from graddebug.records import ParameterInfo, ParameterSet

SETS = st.lists(st.sets(st.integers(0, 9), min_size=1).map(lambda s: tuple(sorted(s))), max_size=12)


def table(size: int, frozen: tuple[int, ...] = ()) -> list[ParameterInfo]:
    return [
        ParameterInfo(index=i, name=f"p{i}", shape=(1,), dtype="float32", requires_grad=i not in frozen)
        for i in range(size)
    ]


def test_all_parameters_begin_together() -> None:
    """One cohort, however many parameters."""
    assert [cohort.members for cohort in Partition(table(1000))] == [tuple(range(1000))]


def test_frozen_ones_begin_apart() -> None:
    """They have another life from the start."""
    assert [cohort.members for cohort in Partition(table(4, frozen=(1,)))] == [(0, 2, 3), (1,)]


def test_an_event_that_touches_a_part_splits() -> None:
    """The part gets a life of its own, with the same past."""
    parts = Partition(table(4))
    parts.of((0, 1, 2, 3))[0].life.windows_ever = 7
    (part,) = parts.of((1, 2))
    part.life.windows_ever = 8
    assert [parts.life(i).windows_ever for i in range(4)] == [7, 8, 8, 7]


def test_the_table_may_grow() -> None:
    """New parameters start a life of their own."""
    infos = table(2)
    parts = Partition(infos)
    parts.life(0).windows_ever = 7
    infos.extend(table(4)[2:])
    assert [cohort.members for cohort in parts] == [(0, 1), (2, 3)]


@given(SETS)
def test_every_parameter_is_in_exactly_one_cohort(sets: list[ParameterSet]) -> None:
    """Whatever is asked for, cohorts are a partition, and each answer is made of whole ones."""
    parts = Partition(table(10))
    for wanted in sets:
        assert sorted(p for cohort in parts.of(wanted) for p in cohort.members) == list(wanted)
    assert sorted(p for cohort in parts for p in cohort.members) == list(range(10))


@given(SETS)
def test_cohorts_behave_like_single_parameters(sets: list[ParameterSet]) -> None:
    """Counting by cohort gives what counting by parameter gives."""
    parts, counts = Partition(table(10)), [0] * 10
    for wanted in sets:
        for cohort in parts.of(wanted):
            cohort.life.windows_ever += 1
        for index in wanted:
            counts[index] += 1
    assert [parts.life(i).windows_ever for i in range(10)] == counts
