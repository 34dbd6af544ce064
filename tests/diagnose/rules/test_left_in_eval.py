"""GD801: the same loop, in train mode first and in eval mode after an evaluation."""

from __future__ import annotations

from typing import Any

from tests.diagnose.story import Story, Tell, lines

Evaluation = dict[str, Any]
EVALUATION: Evaluation = {"built_graph": False, "grad_enabled": False, "training": False}


def train(story: Story, steps: int, *, backward: int = 41, **fields: Any) -> None:
    """Steps of one loop."""
    for _ in range(steps):
        story.clear("optimizer")
        ran = story.forward()
        story.backward(at=backward, forwards=(ran,), **fields)
        story.step()


def left(story: Story, **fields: Any) -> Story:
    """Training, an evaluation, and training in eval mode."""
    train(story, 4)
    story.forward(at=70, **EVALUATION)
    story.in_eval("model", **fields)
    train(story, 5)
    return story


def test_left_in_eval_mode(tell: Tell) -> None:
    """Told at the third step, with the evaluation before it."""
    finding = left(tell()).found("GD801")
    assert (finding.first_step, finding.count) == (6, 3)
    assert lines(finding) == {"evaluation": 70, "backward": 41, "step": 43}
    assert finding.message == (
        "`model` has been in eval mode since the evaluation at `model(x)` (train.py:70), and "
        "`loss.backward()` (train.py:41) and `optimizer.step()` go on training it so, for 5 steps by now; "
        "before that the same loop was in train mode. Dropout works as in an evaluation."
    )
    assert finding.fix == "Call `model.train()` after the evaluation, before the next training step."


def test_a_part_inside_of_a_wrapper(tell: Tell) -> None:
    """The outermost module's flag says train."""
    story = tell()
    train(story, 4)
    story.in_eval("model.base")
    train(story, 5)
    assert story.found("GD801").fix.startswith("Call `model.base.train()`")


def test_an_evaluation_that_gives_the_mode_back(tell: Tell) -> None:
    """Train mode in every step."""
    story = tell()
    for _ in range(5):
        train(story, 4)
        story.in_eval("model")
        story.forward(at=70, **EVALUATION)
        story.in_eval()
    assert story.codes == []


def test_eval_mode_from_the_first_step_on(tell: Tell) -> None:
    """That is meant."""
    story = tell()
    story.in_eval("model")
    train(story, 8)
    assert story.codes == []


def test_another_loop(tell: Tell) -> None:
    """A second phase of training, by lines of its own, has its own mode."""
    story = tell()
    train(story, 4)
    story.in_eval("model")
    train(story, 8, backward=90)
    assert story.codes == []


def test_statistics_frozen_in_a_part(tell: Tell) -> None:
    """Only batch norms of a backbone, while the rest is in train mode."""
    story = left(tell(), layers=("BatchNorm2d",), rest=True)
    assert story.codes == []


def test_a_part_that_is_not_trained(tell: Tell) -> None:
    """A backbone in eval mode that no backward writes."""
    story = tell()
    train(story, 4)
    story.freeze(("fc1.weight", "fc1.bias"))
    story.in_eval("model.fc1", params=("fc1.weight", "fc1.bias"))
    train(story, 8, written=story.set(("fc2.weight", "fc2.bias")))
    assert story.codes == []


def test_an_attack_in_eval_mode_before_each_step(tell: Tell) -> None:
    """One helper runs backward in both modes; each step applies a gradient of train mode."""
    story = tell()
    for _ in range(8):
        story.in_eval("model")
        story.backward(forwards=(story.forward(),))
        story.clear("optimizer")
        story.in_eval()
        train(story, 1)
    assert story.codes == []
