"""GD202: an optimizer that owns what no module has any more."""

from __future__ import annotations

from dataclasses import replace

from tests.diagnose.story import Lines, Story, Tell


def replaced(tell: Tell, *, kept: tuple[str, ...] = ("fc1.weight",)) -> Story:
    return tell(
        optimizers={"optimizer": (*kept, "old.weight", "old.bias")},
        outside=("head.weight", "head.bias"),
        origins={"old.weight": "optimizer", "old.bias": "optimizer"},
        shapes={"old.weight": (10, 64), "head.weight": (10, 64), "old.bias": (10,), "head.bias": (10,)},
    )


def train(story: Story, *, steps: int, kept: tuple[str, ...] = ("fc1.weight",)) -> None:
    for _ in range(steps):
        story.forward((*kept, "head.weight", "head.bias"))
        story.clear("optimizer")
        story.backward((*kept, "head.weight", "head.bias"))
        story.step()


def test_replaced_layer_is_paired_by_shape(tell: Tell, lines: Lines) -> None:
    """Old and new are named; the consequences are not told apart."""
    story = replaced(tell)
    train(story, steps=30)
    finding = story.found("GD202")
    assert finding.evidence == {"orphans": ["old.weight", "old.bias"], "live": ["head.weight", "head.bias"]}
    assert lines(finding) == {"step": 43, "backward": 41}
    assert (finding.first_step, story.codes) == (1, ["GD202"])


def test_wording(tell: Tell) -> None:
    """Message and fix."""
    story = replaced(tell)
    train(story, steps=2)
    assert story.found("GD202").message == (
        "`optimizer` owns 2 parameters that no module has any more (old.weight and old.bias) and that get "
        "no gradient, while head.weight and head.bias in their place do and are in no optimizer: the layer "
        "was replaced, or the model copied, after the optimizer was built."
    )
    assert story.found("GD202").fix == (
        "Build `optimizer` after the last change to the model, so that it owns head.weight and head.bias."
    )


def test_whole_model_replaced_is_the_same_cause(tell: Tell) -> None:
    """Nothing the optimizer owns is alive: still one finding."""
    story = replaced(tell, kept=())
    train(story, steps=5, kept=())
    assert story.codes == ["GD202"]


def test_parameters_outside_modules_that_learn_are_right(tell: Tell) -> None:
    """Learned loss weights belong to no module."""
    story = tell("fc1.weight", "log_sigma", origins={"log_sigma": "optimizer"})
    for _ in range(30):
        story.backward()
        story.step()
        story.clear("optimizer")
    assert story.codes == []


def test_a_new_layer_of_another_size_is_paired_by_its_place(tell: Tell) -> None:
    """Fine-tuning: a head for other classes, put in after the optimizer was built."""
    story = replaced(tell)
    story.table[story.names.index("head.weight")] = replace(story.table[-2], shape=(4, 64))
    story.table[story.names.index("head.bias")] = replace(story.table[-1], shape=(4,))
    train(story, steps=9)
    assert story.codes == ["GD202"]
