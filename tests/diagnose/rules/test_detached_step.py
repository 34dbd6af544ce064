"""GD303: a backward that reaches nothing of the step's."""

from __future__ import annotations

from graddebug.records import Backward
from tests.diagnose.story import Lines, Story, Tell


def in_vain(story: Story, *, reached: tuple[str, ...] = (), at: int = 41) -> None:
    """A backward whose graph ends elsewhere."""
    story.tell(Backward, at=at, source="loss.backward()", written=(), reached=story.set(reached), nodes=7)


def test_the_only_backward_reaches_nobody(tell: Tell, lines: Lines) -> None:
    """It fires at the first step."""
    story = tell()
    in_vain(story)
    story.enter()
    assert lines(story.found("GD303")) == {"backward": 41, "step": 43}
    assert story.codes == ["GD303"]


def test_wording(tell: Tell) -> None:
    """Message and fix."""
    story = tell()
    in_vain(story)
    story.step()
    assert story.found("GD303").message == (
        "`optimizer.step()` has nothing to apply: `loss.backward()` (train.py:41) reached none of its 4 "
        "parameters (fc1.weight, fc1.bias and 2 more). It reached no parameter at all."
    )
    assert story.found("GD303").fix == (
        "Look for a `detach()`, an `argmax`, a `no_grad` block or a rebuilt tensor between fc1.weight, "
        "fc1.bias and 2 more and `loss.backward()` (train.py:41)."
    )


def gan(story: Story, *, steps: int, reached: tuple[str, ...]) -> None:
    for _ in range(steps):
        story.clear("opt_d")
        story.backward(("D",), at=50)
        story.step("opt_d", at=51)
        story.clear("opt_g")
        story.backward(reached, at=60)
        story.step("opt_g", at=61)


def test_detached_generator(tell: Tell) -> None:
    """Its loss reaches the discriminator only: told after three windows."""
    story = tell(optimizers={"opt_d": ("D",), "opt_g": ("G",)})
    gan(story, steps=2, reached=("D",))
    assert story.codes == []
    gan(story, steps=1, reached=("D",))
    assert story.codes == ["GD303"]
    assert story.found("GD303").parameters == ("G",)


def test_attached_generator_is_right(tell: Tell) -> None:
    """The nearest correct program."""
    story = tell(optimizers={"opt_d": ("D",), "opt_g": ("G",)})
    gan(story, steps=9, reached=("D", "G"))
    assert story.codes == []


def test_tasks_that_take_turns_are_right(tell: Tell) -> None:
    """Both optimizers step each time, one task's gradients at a time."""
    story = tell(optimizers={"opt_a": ("a",), "opt_b": ("b",)})
    for i in range(12):
        story.backward(("a",) if i % 2 else ("b",), at=50 + i % 2)
        story.step("opt_a")
        story.step("opt_b")
        story.clear("opt_a")
        story.clear("opt_b")
    assert story.codes == []


def test_nothing_trainable_is_another_matter(tell: Tell) -> None:
    """An optimizer over frozen parameters only."""
    story = tell()
    story.freeze(story.names)
    in_vain(story)
    story.step()
    assert story.codes == ["GD208"]
