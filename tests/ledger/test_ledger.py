"""The ledger: what happens to a gradient between its backward and its end."""

from __future__ import annotations

from typing import Any

import pytest

from graddebug.ledger import AddedToNonfinite, Consumed, Discarded, Fact, Ledger, line_of
from graddebug.records import (
    Backward,
    Event,
    GradientsCleared,
    GradientsEdited,
    OptimizerInfo,
    OptimizerOwns,
    OptimizerStep,
    OptimizerStepEnd,
    ParameterInfo,
    ParameterSet,
    Site,
    TrainableChanged,
)

ALL = (0, 1, 2, 3)


@pytest.fixture
def books() -> Ledger:
    table = [ParameterInfo(index=i, name=f"p{i}", shape=(1,), dtype="float32") for i in ALL]
    ledger = Ledger(table, [OptimizerInfo(index=0, name="opt", type="SGD")])
    ledger.fold(OptimizerOwns(step=0, order=0, optimizer=0, params=ALL))
    return ledger


def at(line: int) -> Site:
    return Site("train.py", line, "f")


def backward(order: int = 1, *, line: int = 1, written: ParameterSet = ALL, **fields: Any) -> Backward:
    return Backward(step=0, order=order, site=at(line), written=written, **fields)


def clear(order: int = 2, params: ParameterSet = ALL, **fields: Any) -> GradientsCleared:
    return GradientsCleared(
        step=0, order=order, site=at(3), params=params, how="optimizer.zero_grad", **fields
    )


def enter(order: int = 3, ready: ParameterSet = ALL, optimizer: int = 0, **fields: Any) -> OptimizerStep:
    return OptimizerStep(step=0, order=order, optimizer=optimizer, params=ALL, ready=ready, **fields)


def leave(order: int = 4, begin: int = 3, optimizer: int = 0, **fields: Any) -> OptimizerStepEnd:
    return OptimizerStepEnd(step=0, order=order, optimizer=optimizer, begin=begin, **fields)


def tell(ledger: Ledger, *events: Event) -> list[Fact]:
    return [fact for event in events for fact in ledger.fold(event)]


def test_a_backward_makes_fresh_gradient(books: Ledger) -> None:
    """One contribution, by its line."""
    tell(books, backward())
    (part,) = books.cohorts.life(0).fresh
    assert (part.line, part.count) == (line_of(at(1)), 1)


def test_backwards_of_one_line_are_counted_not_kept(books: Ledger) -> None:
    """A thousand micro-batches take the room of one."""
    tell(books, *(backward(order) for order in range(1, 1001)))
    (part,) = books.cohorts.life(0).fresh
    assert (part.count, part.first.order, part.last.order) == (1000, 1, 1000)


def test_a_step_moves_fresh_to_old(books: Ledger) -> None:
    """After it returned the gradient is used."""
    (fact,) = tell(books, backward(), enter(), leave())
    assert isinstance(fact, Consumed)
    assert (fact.backwards, fact.written, fact.number) == (1, True, 0)
    life = books.cohorts.life(0)
    assert life.fresh == ()
    assert life.old is not None
    assert (life.old.count, life.old.users[0].times) == (1, 1)


@pytest.mark.parametrize("how", ["skipped", "failed"])
def test_a_step_that_did_not_happen_uses_nothing(books: Ledger, how: str) -> None:
    """The gradient stays fresh, the optimizer has not stepped."""
    tell(books, backward(), enter(), leave(**{how: True}))
    assert books.cohorts.life(0).fresh_count == 1
    assert (books.optimizer(0).steps, books.window) == (0, 0)


def test_used_contributions_are_folded(books: Ledger) -> None:
    """Ten stale steps keep one old part with its first contribution."""
    for i in range(10):
        tell(books, backward(10 * i + 1), enter(10 * i + 3), leave(10 * i + 4, 10 * i + 3))
    old = books.cohorts.life(0).old
    assert old is not None
    assert (old.count, old.first.first.order, old.newest.last.order, old.users[0].times) == (10, 1, 91, 10)


def test_clearing_unused_gradient_is_told(books: Ledger) -> None:
    """Clearing used gradient is not."""
    (discarded,) = tell(books, backward(), clear())
    assert isinstance(discarded, Discarded)
    discard = books.cohorts.life(0).discard
    assert discard is not None
    assert discard.event.order == 2
    assert tell(books, backward(3), enter(4), leave(5, 4), clear(6))[1:] == []


def test_a_clear_inside_a_step_comes_after_its_use(books: Ledger) -> None:
    """An optimizer that clears its own gradients has used them."""
    facts = tell(books, backward(), enter(), clear(4), leave(5))
    assert [type(fact) for fact in facts] == [Consumed]


def test_a_clear_inside_a_backward_comes_after_its_write(books: Ledger) -> None:
    """The backward is told of last, though it began first."""
    tell(books, clear(5), backward(4))
    life = books.cohorts.life(0)
    assert (life.fresh, life.windows_ever) == ((), 1)


def test_closures_are_used_when_the_step_returns(books: Ledger) -> None:
    """With the gradients that are there then."""
    (fact,) = tell(books, enter(1, ready=(), closure=True), backward(2), leave(3, 1, ready=ALL))
    assert isinstance(fact, Consumed)
    assert (fact.event.kind, fact.backwards) == ("step_end", 1)
    old = books.cohorts.life(0).old
    assert old is not None
    assert old.count == 1


def test_assignment_replaces_what_was_there(books: Ledger) -> None:
    """A gradient by hand has its own writer."""
    tell(books, backward(), GradientsEdited(step=0, order=2, site=at(9), params=(0,), how="assigned"))
    (part,) = books.cohorts.life(0).fresh
    assert (part.assigned, part.site) == (True, at(9))
    assert books.cohorts.life(1).fresh[0].assigned is False


def test_scaling_a_used_gradient_is_remembered_until_its_next_use(books: Ledger) -> None:
    """Momentum kept in the gradient."""
    edit = GradientsEdited(step=0, order=5, params=ALL, how="in place")
    tell(books, backward(), enter(), leave(), edit, backward(6))
    assert books.cohorts.life(0).rescaled is True
    (fact,) = tell(books, enter(7), leave(8, 7))
    assert isinstance(fact, Consumed)
    assert fact.portions[0].rescaled is True
    assert books.cohorts.life(0).rescaled is False


def test_adding_to_a_bad_gradient_is_told(books: Ledger) -> None:
    """Only where it was bad, and only until it is cleared."""
    facts = tell(books, backward(nonfinite=(1,)), backward(2, nonfinite=(1,)))
    (fact,) = facts
    assert isinstance(fact, AddedToNonfinite)
    assert fact.portions[0].members == (1,)
    assert tell(books, clear(3), backward(4))[1:] == []


def test_autograd_grad_writes_nothing(books: Ledger) -> None:
    """It does not touch .grad."""
    tell(books, backward(accumulates=False, written=()))
    assert books.cohorts.life(0).fresh == ()
    assert books.backwards == {}


def test_windows_count_outermost_steps(books: Ledger) -> None:
    """A parameter counts the windows in which it was written, not the backwards."""
    for i in range(3):
        tell(
            books,
            backward(10 * i + 1),
            backward(10 * i + 2),
            enter(10 * i + 3),
            leave(10 * i + 4, 10 * i + 3),
        )
    assert (books.window, books.cohorts.life(0).windows_ever) == (3, 3)
    tell(books, clear(50))
    assert books.cohorts.life(0).windows_since_clear == 0


def test_ownership_follows_the_groups(books: Ledger) -> None:
    """What an optimizer gives up is unowned."""
    tell(books, OptimizerOwns(step=0, order=1, optimizer=0, params=(0, 1)))
    assert [cohort.members for cohort in books.unowned] == [(2, 3)]
    tell(books, enter(2))
    assert books.unowned == ()


def test_freezing_is_a_parameters_own(books: Ledger) -> None:
    """The rest of its cohort goes on."""
    tell(books, TrainableChanged(step=0, order=1, params=(2,), requires_grad=False))
    assert [books.cohorts.life(p).trainable for p in ALL] == [True, True, False, True]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("optim.step()", "optim"),
        ("self.opts[0].step()", "self.opts[0]"),
        ("scaler.step(optim)", "SGD"),
        ("optim.step(); scheduler.step()", "SGD"),
    ],
)
def test_an_optimizer_without_a_name_is_called_as_its_step_is(books: Ledger, source: str, name: str) -> None:
    """The user's words, where the line has them."""
    books.optimizer_infos = [OptimizerInfo(index=0, name="SGD", type="SGD")]
    tell(books, enter(site=Site("train.py", 7, "f", excerpt=(source,), excerpt_start=7)))
    assert books.optimizer_name(0) == name
