"""GD112: an optimizer that never steps."""

from __future__ import annotations

from typing import Any

import pytest

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
        "(train.py:51) is not meant to be it."
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


def lost_step(story: Story, *, windows: int = 25, **backward: Any) -> Story:
    for _ in range(windows):
        story.clear("optimizer")
        story.backward(**backward)
    return story


def test_a_loop_that_lost_its_step(tell: Tell, lines: Lines) -> None:
    """It clears and runs backward; told at the end, and once."""
    story = lost_step(tell("w"))
    assert story.codes == []
    story.end()
    finding = story.found("GD112")
    assert (story.codes, lines(finding)) == (["GD112"], {"backward": 41, "zero_grad": 39})
    assert finding.message == (
        "`optimizer` never stepped in the whole run: `optimizer.zero_grad()` (train.py:39) cleared what "
        "`loss.backward()` (train.py:41) wrote 24 times, and nothing has changed w."
    )
    assert finding.fix == "Call `optimizer.step()` after `loss.backward()` (train.py:41)."


def test_weights_that_moved_were_stepped(tell: Tell) -> None:
    """By hand, or by a step that cannot be seen."""
    story = tell("w")
    for _ in range(5):
        lost_step(story, windows=5)
        story.move()
    story.end()
    assert story.alarms == []


@pytest.mark.parametrize("fields", [{"written_in_eval": (0,)}, {"nonfinite": (0,)}], ids=["eval", "NaN"])
def test_gradients_that_are_not_for_a_step(tell: Tell, fields: dict[str, Any]) -> None:
    """A look at a trained model, or batches that are all skipped."""
    story = lost_step(tell("w"), **fields)
    story.end()
    assert story.alarms == []


def test_a_wrapper_clears_and_its_base_steps(tell: Tell) -> None:
    """Both own the parameters; one of them steps."""
    story = tell(optimizers={"outer": ("w",), "base": ("w",)})
    for _ in range(25):
        story.clear("outer")
        story.backward()
        story.step("base")
        story.clear("outer")
        story.backward()
    story.end()
    assert "GD112" not in story.codes


def test_a_loop_variable_is_no_name(tell: Tell) -> None:
    """Two optimizers that step at `o.step()` are told apart by what they are."""
    story = tell(optimizers={"SGD": ("a",), "SGD#2": ("b",)})
    for _ in range(2):
        for name in ("SGD", "SGD#2"):
            story.backward()
            story.leave(story.enter(name, site=site(43, "o.step()")), name)
    ledger = story.engine.ledger
    assert [ledger.optimizer_name(0), ledger.optimizer_name(1)] == ["SGD", "SGD#2"]
