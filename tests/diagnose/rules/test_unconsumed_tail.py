"""GD109: gradients pending at the end of a run."""

from __future__ import annotations

from graddebug.records import Severity
from tests.diagnose.scaled import Scaled
from tests.diagnose.story import Lines, Story, Tell


def accumulate(story: Story, *, batches: int, n: int = 4) -> None:
    for i in range(batches):
        story.backward()
        if (i + 1) % n == 0:
            story.step()
            story.clear("optimizer")


def test_tail_of_the_last_epoch(tell: Tell, lines: Lines) -> None:
    """Two of ten backwards reach no step."""
    story = tell()
    accumulate(story, batches=10)
    story.end()
    finding = story.found("GD109")
    assert (finding.severity, lines(finding)) == (Severity.NOTE, {"backward": 41})
    assert finding.message == (
        "The run ended while gradients of 2 backwards are pending in fc1.weight, fc1.bias and 2 more: no "
        "step used them."
    )


def test_an_optimizer_that_never_stepped_is_said(tell: Tell) -> None:
    """A backward without any step."""
    story = tell()
    story.backward()
    story.end()
    assert story.found("GD109").message.endswith("no step used them. `optimizer` has never stepped.")


def test_a_step_that_the_scaler_skipped_is_no_tail(tell: Tell) -> None:
    """The last step found inf in one gradient: the others are not waiting for another step."""
    scaled = Scaled(tell())
    scaled.window()
    params = scaled.story.set(None)
    scaled.window(bad=True, nonfinite=params[:1])
    scaled.story.end()
    assert "GD109" not in {finding.rule for finding in scaled.story.findings}


def test_a_step_that_cannot_be_seen_is_none_that_is_missing(tell: Tell) -> None:
    """It was compiled: no event, but the weights moved."""
    story = tell()
    story.backward()
    story.move()
    story.end()
    assert story.codes == []


def test_full_windows_leave_nothing(tell: Tell) -> None:
    """The nearest correct program."""
    story = tell()
    accumulate(story, batches=8)
    story.end()
    assert story.codes == []


def test_an_exception_ends_a_run_anywhere(tell: Tell) -> None:
    """Then pending gradients mean nothing."""
    story = tell()
    accumulate(story, batches=10)
    story.end("exception")
    assert story.codes == []


def test_a_bad_gradient_is_not_missed(tell: Tell) -> None:
    """The last step was skipped for a NaN: nothing to step with."""
    story = tell()
    accumulate(story, batches=1, n=1)
    story.backward(nonfinite=(0, 1, 2, 3))
    story.end()
    assert story.codes == []


def test_cross_gradients_are_not_meant_for_a_step(tell: Tell) -> None:
    """A GAN ends with the generator's gradients in the discriminator."""
    story = tell(optimizers={"opt_d": ("D",), "opt_g": ("G",)})
    for _ in range(3):
        story.clear("opt_d")
        story.backward(("D",), at=50)
        story.step("opt_d")
        story.clear("opt_g")
        story.backward(at=60)
        story.step("opt_g")
    story.end()
    assert story.codes == []


def test_a_poisoned_gradient_is_no_tail(tell: Tell) -> None:
    """What NaN was added to cannot be used any more."""
    story = tell()
    for _ in range(2):
        story.backward()
        story.step()
        story.clear("optimizer")
    story.backward()
    story.backward(nonfinite=(0, 1, 2, 3))
    story.end()
    assert "GD109" not in story.codes


def test_what_validation_left_is_no_tail(tell: Tell) -> None:
    """The optimizer steps after the same line, but never in eval mode."""
    story = tell()
    for _ in range(2):
        story.backward()
        story.step()
        story.clear("optimizer")
    story.backward(written_in_eval=(0, 1, 2, 3))
    story.end()
    assert story.codes == []


def test_what_a_skipped_step_met_is_not_pending(tell: Tell) -> None:
    """Some gradients of the last window hold inf; the others had their step all the same."""
    story = tell()
    story.scaler()
    accumulate(story, batches=8)
    story.scaled(nonfinite=story.set(["fc1.weight"]))
    story.scaler_step(skipped=True)
    story.end()
    assert "GD109" not in story.codes
