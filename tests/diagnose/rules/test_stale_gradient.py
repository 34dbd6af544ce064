"""GD101: stale gradients, and all the ways in which old gradients are right."""

from __future__ import annotations

from graddebug.records import Severity
from tests.diagnose.story import Lines, Tell

NEVER = (
    "`optimizer.step()` applied gradients that an earlier step had already applied: the gradients of "
    "fc1.weight, fc1.bias and 2 more are the sum of 2 backwards, 1 of them used before. Nothing cleared "
    "them in between."
)


def test_fires_at_the_second_step_without_a_clear(tell: Tell, lines: Lines) -> None:
    """The second step of a loop without zero_grad is named with both its lines."""
    story = tell()
    story.backward()
    story.step()
    assert story.codes == []
    story.backward()
    story.enter()
    finding = story.found("GD101")
    assert lines(finding) == {"backward": 41, "step": 43}
    assert finding.parameters == ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")
    assert (finding.severity, finding.first_step) == (Severity.ERROR, 1)


def test_wording_when_never_cleared(tell: Tell) -> None:
    """The message has the numbers, the fix the user's own words."""
    story = tell()
    for _ in range(2):
        story.backward()
        story.step()
    finding = story.found("GD101")
    assert finding.message == NEVER
    assert finding.fix == "Call `optimizer.zero_grad()` before `loss.backward()` (train.py:41)."
    assert finding.evidence["backwards_already_used"] == 1


def test_is_one_finding_with_a_count(tell: Tell) -> None:
    """A hundred guilty steps are one finding."""
    story = tell()
    for _ in range(100):
        story.backward()
        story.step()
    finding = story.found("GD101")
    assert (finding.count, finding.first_step, finding.last_step) == (99, 1, 99)


def test_clear_once_per_epoch_is_to_be_moved(tell: Tell) -> None:
    """Where a clear exists, the fix moves it."""
    story = tell()
    for _ in range(2):
        story.clear("optimizer", at=30)
        for _ in range(3):
            story.backward()
            story.step()
    finding = story.found("GD101")
    assert finding.count == 4
    story = tell()
    story.backward()
    story.step()
    story.clear("optimizer", at=30)
    for _ in range(2):
        story.backward()
        story.step()
    assert story.found("GD101").fix == (
        "Clear the gradients once for each step: `optimizer.zero_grad()` (train.py:30) runs too seldom, "
        "move it into the loop, before `loss.backward()` (train.py:41)."
    )


def test_partial_clear_names_what_it_misses(tell: Tell) -> None:
    """A module's zero_grad that covers part of the optimizer leaves the rest stale."""
    story = tell()
    for _ in range(2):
        story.clear(params=("fc1.weight", "fc1.bias"), how="module.zero_grad", at=30)
        story.backward()
        story.step()
    story.clear(params=("fc1.weight", "fc1.bias"), how="module.zero_grad", at=30)
    finding = story.found("GD101")
    assert finding.parameters == ("fc2.weight", "fc2.bias")
    assert finding.fix == (
        "`model.zero_grad()` (train.py:30) clears only part of what `optimizer` owns: call "
        "`optimizer.zero_grad()` before `loss.backward()` (train.py:41)."
    )


def test_one_optimizer_of_two_is_not_cleared(tell: Tell) -> None:
    """Only the optimizer that is never cleared is guilty."""
    story = tell(optimizers={"opt_a": ("a.weight",), "opt_b": ("b.weight",)})
    for _ in range(3):
        story.clear("opt_a")
        story.backward()
        story.step("opt_a")
        story.step("opt_b", at=44)
    assert story.found("GD101").parameters == ("b.weight",)


def test_two_backward_lines_name_the_first_one_too(tell: Tell, lines: Lines) -> None:
    """A leftover of another line is a role of its own."""
    story = tell()
    story.backward(at=20)
    story.step(at=21)
    story.backward(at=41)
    story.step()
    assert lines(story.found("GD101")) == {"backward": 41, "step": 43, "first_backward": 20}


def test_another_optimizer_has_used_it_and_more_came_on_top(tell: Tell) -> None:
    """A shared parameter stepped by one optimizer and written again is stale for the other."""
    story = tell(optimizers={"opt_a": ("shared",), "opt_b": ("shared", "b.weight")})
    story.backward(("shared",), at=20)
    story.step("opt_a", at=21)
    story.backward(at=30)
    story.step("opt_b", at=31)
    assert story.found("GD101").parameters == ("shared",)


def test_two_owners_on_one_fresh_gradient_are_another_matter(tell: Tell) -> None:
    """Two optimizers that step one after the other share one gradient, which is not stale."""
    story = tell(optimizers={"opt_a": ("shared",), "opt_b": ("shared",)})
    for _ in range(3):
        story.backward()
        story.step("opt_a")
        story.step("opt_b", at=44)
        story.clear("opt_a")
    assert story.codes == ["GD209"]


def test_momentum_kept_in_the_gradient_is_a_note(tell: Tell) -> None:
    """Scaled in place between its use and the next write: on purpose."""
    story = tell()
    for _ in range(3):
        story.backward()
        story.step()
        story.edit()
    finding = story.found("GD101")
    assert finding.severity is Severity.NOTE
    assert "scaled by hand in between" in finding.message


def test_a_gradient_filled_by_hand_is_right(tell: Tell) -> None:
    """``grad.copy_(new)`` into the used one: no backward wrote on top, so nothing of it is left."""
    story = tell()
    story.backward()
    for _ in range(3):
        story.step()
        story.edit()
    assert story.codes == []


GAN = {"opt_d": ("D",), "opt_g": ("G",)}


def test_the_fix_for_a_discriminator_comes_after_the_generators_backward(tell: Tell) -> None:
    """Right after its step the generator's gradient is still to come."""
    story = tell(optimizers=GAN)
    for _ in range(3):
        story.backward(("D",), at=50)
        story.backward(("D",), at=51)
        story.step("opt_d", at=52)
        story.clear("opt_g")
        story.backward(at=60)
        story.step("opt_g", at=61)
    assert (
        story.found("GD101").fix
        == "Call `opt_d.zero_grad()` once for each step, before `loss.backward()` (train.py:50)."
    )


def test_another_optimizers_clear_is_not_to_be_moved(tell: Tell) -> None:
    """It clears shared parameters for its own step."""
    story = tell(optimizers={"opt": ("w",), "opt_info": ("w", "q")})
    story.clear("opt_info")
    story.backward()
    story.clear("opt_info")
    for _ in range(2):
        story.backward()
        story.step("opt")
    assert story.found("GD101").fix == "Call `opt.zero_grad()` before `loss.backward()` (train.py:41)."


def test_unscaling_after_the_backward_is_no_excuse(tell: Tell) -> None:
    """An edit after the write on top of a used gradient does not make it a memory."""
    story = tell()
    for _ in range(2):
        story.backward()
        story.edit()
        story.step()
    assert story.found("GD101").severity is Severity.ERROR


def test_closure_that_never_clears_fires_when_it_returns(tell: Tell) -> None:
    """A closure's gradients are judged at the end of its step."""
    story = tell()
    for _ in range(2):
        begin = story.enter(closure=True)
        story.backward(inside_step=begin)
        story.leave(begin)
    assert story.codes == ["GD101"]


def test_a_skipped_fused_step_has_used_nothing(tell: Tell) -> None:
    """Steps whose kernel left the weights alone do not count as use."""
    story = tell()
    story.backward()
    story.step(skipped=True)
    story.backward()
    story.step()
    assert "GD101" not in story.codes


def test_wrapper_around_a_base_optimizer_is_fine(tell: Tell) -> None:
    """Lookahead's step runs its base optimizer's step on the same gradients."""
    story = tell(optimizers={"lookahead": ("w",), "base": ("w",)})
    for _ in range(5):
        story.clear("base")
        story.backward()
        begin = story.enter("lookahead")
        story.step("base", parent=begin)
        story.leave(begin, "lookahead")
    assert story.codes == []


def test_the_fix_never_puts_a_clear_between_accumulated_backwards(tell: Tell) -> None:
    """A clear that runs too seldom moves behind the step where a step uses several backwards."""
    story = tell()
    story.backward()
    story.backward()
    story.step()
    story.clear("optimizer", at=44)
    for _ in range(2):
        story.backward()
        story.backward()
        story.step()
    assert story.found("GD101").fix == (
        "Clear the gradients once for each step: `optimizer.zero_grad()` (train.py:44) runs too seldom, "
        "move it into the loop, right after `optimizer.step()` (train.py:43)."
    )
