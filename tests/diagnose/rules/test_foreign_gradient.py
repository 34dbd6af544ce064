"""GD104: gradients of a backward that was made for another optimizer."""

from __future__ import annotations

from tests.diagnose.story import Lines, Story, Tell

GAN = {"opt_d": ("D.weight",), "opt_g": ("G.weight",)}


def gan(story: Story, *, steps: int, clear_d_late: bool = False) -> None:
    for _ in range(steps):
        if not clear_d_late:
            story.clear("opt_d")
        story.backward(("D.weight",), at=50)
        story.step("opt_d", at=51)
        if clear_d_late:
            story.clear("opt_d", at=52)
        story.clear("opt_g")
        story.backward(at=60)
        story.step("opt_g", at=61)


def test_generators_leftover_in_the_discriminator(tell: Tell, lines: Lines) -> None:
    """D is cleared after its step only, so G's backward stays in it."""
    story = tell(optimizers=GAN)
    gan(story, steps=2, clear_d_late=True)
    finding = story.found("GD104")
    assert lines(finding) == {"foreign_backward": 60, "backward": 50, "step": 51}
    assert finding.parameters == ("D.weight",)
    assert story.codes == ["GD104"]


def test_wording(tell: Tell) -> None:
    """Message and fix name both optimizers and lines."""
    story = tell(optimizers=GAN)
    gan(story, steps=2, clear_d_late=True)
    assert story.found("GD104").message == (
        "`opt_d.step()` applied gradients that belong to `opt_g`: `loss.backward()` (train.py:60) wrote "
        "D.weight too, `opt_g` stepped with it, and what was left was added to the gradients of "
        "`loss.backward()` (train.py:50)."
    )
    assert (
        story.found("GD104").fix == "Call `opt_d.zero_grad()` right before `loss.backward()` (train.py:50)."
    )


def test_the_fix_keeps_both_of_the_discriminators_own(tell: Tell) -> None:
    """The clear belongs before the first backward that is meant for its step."""
    story = tell(optimizers=GAN)
    for _ in range(3):
        story.backward(("D.weight",), at=50)
        story.backward(("D.weight",), at=51)
        story.step("opt_d", at=52)
        story.clear("opt_d", at=53)
        story.clear("opt_g")
        story.backward(at=60)
        story.step("opt_g", at=61)
    fix = "Call `opt_d.zero_grad()` right before `loss.backward()` (train.py:50)."
    assert story.found("GD104").fix == fix


def test_leftover_cleared_before_the_backward_is_right(tell: Tell) -> None:
    """A GAN done right."""
    story = tell(optimizers=GAN)
    gan(story, steps=5)
    story.end()
    assert story.codes == []


def test_two_losses_for_one_step_are_right(tell: Tell) -> None:
    """Two lines write one optimizer's gradients, then it steps."""
    story = tell()
    for _ in range(3):
        story.backward(at=50)
        story.backward(at=51)
        story.step()
        story.clear("optimizer")
    assert story.codes == []


def test_two_accumulation_lengths_on_one_line_are_right(tell: Tell) -> None:
    """One loss line, one optimizer stepping each time and one every second time."""
    story = tell(optimizers={"opt_a": ("a",), "opt_b": ("b",)})
    for i in range(6):
        story.backward()
        story.step("opt_a")
        story.clear("opt_a")
        if i % 2:
            story.step("opt_b")
            story.clear("opt_b")
    assert story.codes == []
