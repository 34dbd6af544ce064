"""GD402: a scaler's step applies gradients of a loss that was not scaled."""

from __future__ import annotations

from tests.diagnose.story import Lines, Tell


def test_a_loss_that_was_not_scaled(tell: Tell, lines: Lines) -> None:
    """The scaler divides all the same; the line that forgot comes last."""
    story = tell()
    story.scaler()
    story.backward(at=41)
    story.scaler_step(at=43)
    story.update()
    assert story.codes == ["GD402"]
    assert lines(story.found("GD402")) == {"step": 43, "backward": 41}
    assert story.found("GD402").message == (
        "`scaler.step(optimizer)` applied gradients that are 1,024 times too small: `loss.backward()` "
        "(train.py:41) wrote fc1.weight, fc1.bias and 2 more without `scaler.scale()`, and the scaler divided "
        "them by 1,024 all the same."
    )


def test_one_of_two_losses(tell: Tell, lines: Lines) -> None:
    """The scaled one is not named."""
    story = tell()
    story.scaler()
    story.scaled(at=40)
    story.backward(at=41)
    story.scaler_step()
    assert lines(story.found("GD402"))["backward"] == 41


def test_a_fused_step_that_divides(tell: Tell) -> None:
    """The kernel divides what nobody scaled."""
    story = tell()
    story.scaler()
    story.backward()
    story.step(scaler=0, grad_scale=1024.0)
    assert story.codes == ["GD402"]


def test_torch_says_that_there_is_no_scale_yet(tell: Tell) -> None:
    """Its first step fails."""
    story = tell()
    story.scaler()
    story.backward(at=41)
    story.error("scaler.step", "Attempted step but _scale is None.", at=43)
    assert "`scaler.scale()` was never called" in story.found("GD402").message


def test_torch_says_so_where_another_scaler_was_used(tell: Tell) -> None:
    """The loss is scaled, only not by the scaler that steps."""
    story = tell()
    story.scaler()
    story.scaler("other", scaler=1)
    story.scaled(at=41, scalers=(1,))
    story.error("scaler.step", "Attempted step but _scale is None.", at=43)
    finding = story.found("GD402")
    assert "ran on a loss that was scaled by `other`" in finding.message
    assert finding.fix.endswith("or step with `other`.")


def test_what_was_added_after_unscaling_need_not_be_scaled(tell: Tell) -> None:
    """A penalty on top of the unscaled gradient."""
    story = tell()
    story.scaler()
    story.scaled()
    story.unscale()
    story.backward(at=45)
    story.scaler_step(unscaled=True)
    assert story.codes == []


def test_gradients_passed_on_may_be_scaled(tell: Tell) -> None:
    """A backward that began with a given gradient is not judged; nor is one put there by hand."""
    story = tell()
    story.scaler()
    story.backward(seeded=True)
    story.scaler_step()
    story.update()
    story.clear("optimizer")
    story.edit(how="assigned")
    story.scaler_step()
    assert story.codes == []
