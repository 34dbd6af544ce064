"""GD112: an optimizer that never steps."""

from __future__ import annotations

from tests.diagnose.story import Lines, Story, Tell, site

TWO = {"g_optimizer": ("G",), "d_optimizer": ("D",)}


def train(story: Story, *, steps: int, d_steps_from: int | None = None) -> None:
    for i in range(steps):
        story.clear("d_optimizer")
        story.clear("g_optimizer")
        story.backward(at=50)
        story.step("g_optimizer", at=51)
        if d_steps_from is not None and i >= d_steps_from:
            story.step("d_optimizer", at=52)


def test_never_steps_while_the_other_does(tell: Tell, lines: Lines) -> None:
    """After twenty windows it is told."""
    story = tell(optimizers=TWO)
    train(story, steps=19)
    assert story.codes == []
    train(story, steps=2)
    finding = story.found("GD112")
    assert (finding.parameters, lines(finding)) == (("D",), {"backward": 50, "step": 51})


def test_wording(tell: Tell) -> None:
    """Message and fix name both optimizers."""
    story = tell(optimizers=TWO)
    train(story, steps=20)
    assert story.found("GD112").message == (
        "`d_optimizer` has never stepped, though `loss.backward()` (train.py:50) wrote D in 20 windows and "
        "`g_optimizer` has stepped 20 times."
    )
    assert story.found("GD112").fix == (
        "Call `d_optimizer.step()` after `loss.backward()` (train.py:50); check that `g_optimizer.step()` "
        "(train.py:51) "
        "is not meant to be it."
    )


def test_warm_up_that_ends_in_time_is_right(tell: Tell) -> None:
    """An optimizer may start late."""
    story = tell(optimizers=TWO)
    train(story, steps=60, d_steps_from=15)
    assert story.codes == []


def test_the_backward_meant_for_it_is_named_once(tell: Tell, lines: Lines) -> None:
    """Copy and paste in a GAN: D's loss reaches only D, G's loss reaches both."""
    story = tell(optimizers=TWO)
    for _ in range(15):
        story.clear("d_optimizer")
        story.backward(("D",), at=50)
        story.step("g_optimizer", at=51)
        story.clear("g_optimizer")
        story.backward(at=60)
        story.step("g_optimizer", at=61)
    assert lines(story.found("GD112")) == {"backward": 50, "step": 51}


def test_a_loop_variable_is_no_name(tell: Tell) -> None:
    """Two optimizers that step at `o.step()` are told apart by what they are."""
    story = tell(optimizers={"SGD": ("a",), "SGD#2": ("b",)})
    for _ in range(2):
        for name in ("SGD", "SGD#2"):
            story.backward()
            story.leave(story.enter(name, site=site(43, "o.step()")), name)
    ledger = story.engine.ledger
    assert [ledger.optimizer_name(0), ledger.optimizer_name(1)] == ["SGD", "SGD#2"]
