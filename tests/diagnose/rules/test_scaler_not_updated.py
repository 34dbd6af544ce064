"""GD404: a missing update(), or unscale_() twice for one step: torch's errors explained."""

from __future__ import annotations

from tests.diagnose.story import Lines, Tell

SECOND_STEP = "step() has already been called since the last update()."
SECOND_UNSCALE = "unscale_() has already been called on this optimizer since the last update()."


def test_the_step_after_which_update_is_missing(tell: Tell, lines: Lines) -> None:
    """It is the harm, the line that raises is right."""
    story = tell()
    story.scaler()
    story.scaled()
    story.scaler_step(at=50)
    story.clear("optimizer")
    story.scaled()
    story.error("scaler.step", SECOND_STEP, at=60)
    assert lines(story.found("GD404")) == {"raised": 60, "step": 50}
    assert story.found("GD404").fix == (
        "Call `scaler.update()` after `scaler.step(optimizer)` (train.py:50), on every path that comes back "
        "to it."
    )


def test_unscaling_in_the_loop_over_micro_batches(tell: Tell, lines: Lines) -> None:
    """A backward came between the two."""
    story = tell()
    story.scaler()
    story.scaled()
    story.unscale(at=42)
    story.scaled()
    story.error("scaler.unscale_", SECOND_UNSCALE, at=42)
    assert lines(story.found("GD404")) == {"unscale": 42}
    assert "loop over micro-batches" in story.found("GD404").message


def test_a_path_that_skips_the_step_skips_update(tell: Tell) -> None:
    """The gradients were cleared in between."""
    story = tell()
    story.scaler()
    story.scaled()
    story.unscale(at=42)
    story.clear("optimizer")
    story.scaled()
    story.error("scaler.unscale_", SECOND_UNSCALE, at=42)
    assert story.found("GD404").fix == "Call `scaler.update()` also where the step is left out."


def test_unscaling_twice_in_a_row(tell: Tell, lines: Lines) -> None:
    """Two helpers that both unscale."""
    story = tell()
    story.scaler()
    story.scaled()
    story.unscale(at=42)
    story.error("scaler.unscale_", SECOND_UNSCALE, at=45)
    assert lines(story.found("GD404")) == {"first_unscale": 42, "unscale": 45}
    assert "Nothing happened" in story.found("GD404").message


def test_updated_steps_are_right(tell: Tell) -> None:
    """Scale, unscale, step, update."""
    story = tell()
    story.scaler()
    for _ in range(3):
        story.clear("optimizer")
        story.scaled()
        story.unscale()
        story.scaler_step(unscaled=True)
        story.update()
    assert story.codes == []
