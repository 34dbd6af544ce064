"""GD108: parameters that move without a gradient."""

from __future__ import annotations

from graddebug.records import ParameterSet
from tests.diagnose.story import Lines, Story, Tell


def train(
    story: Story, moved: ParameterSet = (), *, written: tuple[str, ...] | None = ("fc1.weight", "fc1.bias")
) -> None:
    story.clear("optimizer", to_none=False)
    story.backward(written)
    story.step(moved_idle=moved)


def test_momentum_on_zeros(tell: Tell, lines: Lines) -> None:
    """Zeros instead of None keep an unused branch moving."""
    story = tell()
    story.backward()
    story.step()
    train(story, moved=story.set(("fc2.weight", "fc2.bias")))
    finding = story.found("GD108")
    assert finding.parameters == ("fc2.weight", "fc2.bias")
    assert lines(finding) == {"step": 43}
    assert finding.message == (
        "`optimizer.step()` (train.py:43) moved fc2.weight and fc2.bias without a new gradient: no "
        "backward wrote one since the step before, but a gradient of zeros is still there, and momentum or "
        "weight decay acts on it."
    )


def test_another_optimizers_gradient(tell: Tell) -> None:
    """What is still there is no zero but what another one has stepped with: that is GD209."""
    story = tell(optimizers={"opt_a": ("shared",), "opt_b": ("shared", "b")})
    story.backward(("shared",))
    story.step("opt_a")
    story.backward(("b",))
    story.step("opt_b", moved_idle=story.set(("shared",)))
    assert story.codes == ["GD209"]


def test_frozen_in_the_middle(tell: Tell) -> None:
    """A frozen parameter with an old gradient is told apart."""
    story = tell()
    train(story, written=None)
    story.freeze(("fc2.weight",))
    train(story, moved=story.set(("fc2.weight",)))
    finding = story.found("GD108")
    assert finding.evidence["frozen"] is True
    assert finding.fix == "When you freeze them, set their `.grad` to None or take them out of `optimizer`."


def test_nothing_moved_is_right(tell: Tell) -> None:
    """With None the step skips them."""
    story = tell()
    for _ in range(3):
        train(story)
    assert story.codes == []


def test_moved_inside_a_wrapper_is_on_purpose(tell: Tell) -> None:
    """Lookahead moves weights by interpolation."""
    story = tell(optimizers={"outer": ("w", "v"), "base": ("w", "v")})
    story.backward(("w",))
    begin = story.enter("outer")
    story.step("base", parent=begin)
    story.leave(begin, "outer", moved_idle=story.set(("v",)))
    assert story.codes == []
