"""GD505: a step applies NaN or inf, and no op is known."""

from __future__ import annotations

from graddebug.records import Origin, RunEnd
from tests.diagnose.rules.nonfinite_stories import ALL, bad_backward, origin
from tests.diagnose.story import Lines, Story, Tell


def test_wording_where_parameters_narrow_it(tell: Tell, lines: Lines) -> None:
    """Good gradients on one side of the op, bad ones on the other."""
    story = tell()
    bad_backward(story, params=(0, 1), healthy=(2, 3))
    story.step(nonfinite=(0, 1))
    found = story.found("GD505")
    assert found.message == (
        "`optimizer.step()` (train.py:43) applied gradients of fc1.weight and fc1.bias that are NaN or inf. In "
        "the same backward fc2.weight and fc2.bias got finite gradients: the bad number was born after the way "
        "to those had parted, before fc1.weight and fc1.bias."
    )
    assert "graddebug run --nodes always" in found.fix
    assert lines(found) == {"backward": 41, "step": 43}


def test_a_bad_loss_was_born_in_the_forward(tell: Tell) -> None:
    """No gradient is healthy then."""
    story = tell()
    bad_backward(story, loss=float("nan"))
    story.step(nonfinite=ALL)
    assert "The loss was nan already: it was born in the forward" in story.found("GD505").message


def test_a_known_origin_says_it_all(tell: Tell) -> None:
    """Folded into GD501."""
    story = tell()
    bad_backward(story, origin())
    story.step(nonfinite=ALL)
    assert story.codes == ["GD501"]


def test_what_came_between_backward_and_step(tell: Tell) -> None:
    """A clip by a norm that is inf."""
    story = tell()
    story.backward()
    story.clip()
    story.step(nonfinite=ALL)
    assert (
        "They were finite when `loss.backward()` (train.py:41) had written them"
        in story.found("GD505").message
    )


def test_once_a_run(tell: Tell) -> None:
    """The steps after it follow from it."""
    story = tell()
    for _ in range(4):
        bad_backward(story)
        story.step(nonfinite=ALL)
        story.clear("optimizer")
    assert [(found.rule, found.count) for found in story.findings] == [("GD505", 1)]


def test_a_cleared_gradient_is_not_consumed(tell: Tell) -> None:
    """The nearest correct program."""
    story = tell()
    bad_backward(story)
    story.clear("optimizer")
    story.end()
    assert story.codes == []


def test_a_closure_that_left_bad_gradients(tell: Tell) -> None:
    """They are applied when its step returns."""
    story = tell()
    begin = story.enter(closure=True)
    bad_backward(story)
    story.leave(begin)
    assert story.codes == ["GD505"]


def test_an_exception_before_the_step_is_an_error_too(tell: Tell) -> None:
    """The program's own assert: what it stumbled on must not go untold because no op was measured."""
    story = tell()
    bad_backward(story, params=(0, 1), healthy=(2, 3))
    story.tell(RunEnd, reason="exception", detail="AssertionError: bad grads")
    found = story.found("GD505")
    assert found.message == (
        "`loss.backward()` (train.py:41) wrote gradients of fc1.weight and fc1.bias that are NaN or inf. In "
        "the same backward fc2.weight and fc2.bias got finite gradients: the bad number was born after the way "
        "to those had parted, before fc1.weight and fc1.bias. The run ended with an exception (AssertionError: "
        "bad grads) before a step used it."
    )


def test_skipping_every_step_is_an_error_too(tell: Tell) -> None:
    """The program's check saves the weights, and nothing is learnt."""
    story = tell()
    for _ in range(8):
        bad_backward(story)
        story.clear("optimizer")
    found = story.found("GD505")
    assert "That is 5 times in a row now without a good step between." in found.message


def test_weights_that_were_bad_before(tell: Tell) -> None:
    """They have no op that made them so."""
    story = tell()
    bad_backward(story, between=(Origin(born="weights", parameter=0, nan=2, numel=4),))
    story.step(nonfinite=ALL)
    assert "The weights of fc1.weight were NaN or inf already" in story.found("GD505").message


def _closures(story: Story, *, bad: tuple[bool, ...]) -> None:
    """One step that calls its closure several times, each of which clears and runs a backward."""
    begin = story.enter(closure=True)
    for wrong in bad:
        story.clear("optimizer")
        if wrong:
            bad_backward(story, inside_step=begin)
        else:
            story.backward(inside_step=begin)
    story.leave(begin)


def test_closures_that_go_on_from_bad_gradients_are_one_finding(tell: Tell) -> None:
    """L-BFGS clears what its step has taken in: those gradients were used, and the rest follows."""
    story = tell()
    _closures(story, bad=(False, True, True, True))
    assert [(found.rule, found.count) for found in story.findings] == [("GD505", 1)]


def test_a_line_search_that_backs_off_is_no_finding(tell: Tell) -> None:
    """The closure met NaN at a point that was then given up."""
    story = tell()
    _closures(story, bad=(False, True, False))
    assert story.codes == []
