"""GD403: a step applies gradients that still carry the loss scale."""

from __future__ import annotations

from tests.diagnose.story import Lines, Tell


def test_a_plain_step_on_scaled_gradients(tell: Tell, lines: Lines) -> None:
    """Nothing divided them."""
    story = tell()
    story.scaler()
    story.scaled(at=41)
    story.step(at=43)
    assert story.codes == ["GD403"]
    assert lines(story.found("GD403")) == {"backward": 41, "step": 43}
    assert story.found("GD403").fix == (
        "Call `scaler.step(optimizer)` and then `scaler.update()` instead of `optimizer.step()`."
    )


def test_a_plain_step_after_unscaling(tell: Tell) -> None:
    """The program checks for inf itself."""
    story = tell()
    story.scaler()
    story.scaled()
    story.unscale()
    story.step()
    assert story.codes == []


def test_gradients_that_the_program_changed(tell: Tell) -> None:
    """It may have divided them."""
    story = tell()
    story.scaler()
    story.scaled()
    story.edit()
    story.step()
    story.clear("optimizer")
    story.scaled()
    story.edit(how="assigned")
    story.step()
    assert story.codes == []


def test_a_scale_of_one_and_a_fused_step(tell: Tell) -> None:
    """Neither leaves anything to divide."""
    story = tell()
    story.scaler()
    story.scaled(scale=1.0)
    story.step()
    story.clear("optimizer")
    story.scaled()
    story.step(scaler=0, grad_scale=1024.0)
    assert story.codes == []
