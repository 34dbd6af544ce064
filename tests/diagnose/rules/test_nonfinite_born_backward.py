"""GD501: an op whose derivative makes NaN or inf."""

from __future__ import annotations

import pytest

from graddebug.records import Severity
from tests.diagnose.rules.nonfinite_stories import ALL, bad_backward, cleared, origin, scaler_skips
from tests.diagnose.story import MODEL, Lines, Tell

OVERFLOW = origin(op="ToCopyBackward0", dtype="float16", inf=9, operands=(), incoming=3e5)


def test_wording(tell: Tell, lines: Lines) -> None:
    """Op, operands, line, who applied it, fix."""
    story = tell()
    bad_backward(story, origin())
    story.step(nonfinite=ALL)
    found = story.found("GD501")
    assert found.severity is Severity.ERROR
    assert found.message == (
        "The gradient became inf at `dist = torch.sqrt(x)` (train.py:12) in net.dist: a finite one (norm 0.5) "
        "came into its SqrtBackward0, and what went out is inf in 3 of 128 elements. The cause is the "
        "square root of a tensor whose minimum is 0 (3 of 128 elements): its derivative 1/(2·sqrt(x)) is inf "
        "there. `optimizer.step()` (train.py:43) applied that to fc1.weight, fc1.bias and 2 more."
    )
    assert found.fix == (
        "Add a small eps inside the root, `torch.sqrt(x + 1e-12)`; if it is the length of a vector, use "
        "`torch.linalg.vector_norm`, whose gradient at 0 is 0 in torch 2.13.0."
    )
    assert lines(found) == {"backward": 41, "step": 43, "forward_op": 12}
    assert found.roles[-1].role == "forward_op"
    assert found.parameters == MODEL
    assert found.evidence["operands"] == ["result 0 to 4, 3 zeros"]


def test_it_is_told_before_the_step_applies_it(tell: Tell) -> None:
    """So that ``on_finding="raise"`` can stop it."""
    story = tell()
    bad_backward(story, origin())
    story.enter(nonfinite=ALL)
    assert story.codes == ["GD501"]


def test_what_follows_from_spoiled_weights_is_no_news(tell: Tell) -> None:
    """One cause, one finding."""
    story = tell()
    for _ in range(3):
        bad_backward(story, origin())
        story.step(nonfinite=ALL)
        story.clear("optimizer")
        bad_backward(story, origin(born="weights", op="AddmmBackward0", parameter=0))
        story.step(nonfinite=ALL)
        story.clear("optimizer")
    assert [(f.rule, f.count) for f in story.findings] == [("GD501", 1)]


def test_a_skipped_and_cleared_batch_is_a_note(tell: Tell) -> None:
    """Nothing was harmed."""
    story = tell()
    bad_backward(story, origin())
    cleared(story)
    story.end()
    assert (story.codes, story.alarms) == (["GD501"], [])
    assert story.found("GD501").message.endswith("The gradients were cleared before a step used them.")


def test_an_exception_that_ends_the_run_makes_it_an_error(tell: Tell) -> None:
    """The program's own check raised."""
    story = tell()
    bad_backward(story, origin())
    story.end("exception")
    assert story.found("GD501").severity is Severity.ERROR


@pytest.mark.parametrize(("times", "severity"), [(4, Severity.NOTE), (5, Severity.ERROR)])
def test_a_streak_of_skips_is_an_error(tell: Tell, times: int, severity: Severity) -> None:
    """No scale cures a derivative that is inf."""
    story = tell()
    for _ in range(times):
        bad_backward(story, origin(), scale=65536.0)
        scaler_skips(story)
        cleared(story)
    found = story.found("GD501")
    assert (found.severity, found.count) == (severity, times)


def test_a_good_step_ends_a_streak(tell: Tell) -> None:
    """A rare bad batch, skipped each time."""
    story = tell()
    for _ in range(9):
        bad_backward(story, origin())
        cleared(story)
        story.backward()
        story.step()
        story.clear("optimizer")
    assert story.alarms == []


def test_a_scaler_that_finds_its_scale_is_a_note_however_long(tell: Tell) -> None:
    """A gradient that overflows in half at this scale and not at a smaller one."""
    story = tell()
    for halving in range(12):
        bad_backward(story, OVERFLOW, scale=65536.0 / 2**halving)
        scaler_skips(story)
        cleared(story)
    assert (story.codes, story.alarms) == (["GD501", "GD414"], [])
    assert story.found("GD501").fix.startswith("Nothing, unless it goes on")


def test_a_fused_step_that_skipped_itself_applied_nothing(tell: Tell) -> None:
    """The step is entered with inf, and its kernel leaves the weights alone."""
    story = tell()
    bad_backward(story, OVERFLOW, scale=65536.0)
    begin = story.enter(nonfinite=ALL, scaler=0, grad_scale=65536.0)
    assert story.codes == []
    story.leave(begin, skipped=True)
    assert (story.codes, story.alarms) == (["GD501"], [])


def test_a_step_inside_a_scaler_that_applied_it_is_an_error(tell: Tell) -> None:
    """The twin: it was not skipped."""
    story = tell()
    bad_backward(story, origin(), scale=65536.0)
    begin = story.enter(nonfinite=ALL, scaler=0)
    story.leave(begin)
    assert story.found("GD501").severity is Severity.ERROR


def test_gradients_made_finite_by_hand_are_a_note(tell: Tell) -> None:
    """``nan_to_num_`` before the step."""
    story = tell()
    bad_backward(story, origin())
    story.edit()
    story.step()
    assert (story.codes, story.alarms) == (["GD501"], [])


def test_an_update_by_hand_applies_it_too(tell: Tell) -> None:
    """Manual SGD: cleared afterwards, seen late."""
    story = tell(optimizers={}, outside=MODEL)
    bad_backward(story, origin())
    cleared(story)
    story.move()
    assert story.found("GD501").severity is Severity.ERROR
    assert "The program's own update applied that to" in story.found("GD501").message
    bad_backward(story, origin(born="weights", op="AddmmBackward0", parameter=0))
    cleared(story)
    story.move()
    assert [(found.rule, found.count) for found in story.findings] == [("GD501", 1)]


def test_a_note_becomes_an_error_when_a_step_applies_it(tell: Tell) -> None:
    """The same line, first cleared, then applied."""
    story = tell()
    bad_backward(story, origin())
    cleared(story)
    bad_backward(story, origin())
    story.step(nonfinite=ALL)
    found = story.found("GD501")
    assert (found.severity, found.count) == (Severity.ERROR, 2)


def test_the_own_backward_of_a_function_is_to_blame(tell: Tell) -> None:
    """A class of the program."""
    story = tell()
    bad_backward(story, origin(op="RoundBackward", operands=()))
    story.step(nonfinite=ALL)
    assert "the program's own `Round.backward`, which returned them" in story.found("GD501").message


def test_a_bad_start_of_the_backward(tell: Tell) -> None:
    """``loss.backward(gradient)`` with NaN in it."""
    story = tell()
    bad_backward(story, origin(born="root", op="", site=None, module="", nan=1, inf=0, numel=1, operands=()))
    story.step(nonfinite=ALL)
    assert story.found("GD501").message.startswith(
        "`loss.backward()` (train.py:41) began with a gradient that holds NaN (1 of 1 element)"
    )


def test_memory_does_not_grow(tell: Tell) -> None:
    """Bad backwards that nothing ever settles are forgotten."""
    story = tell(*(f"w{i}" for i in range(300)))
    for i in range(300):
        bad_backward(story, origin(op=f"Op{i}Backward0"), params=(i,))
    story.end()
    assert sum(f.rule == "GD501" for f in story.findings) == 64
