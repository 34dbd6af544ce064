"""GD304: evaluation without no_grad."""

from __future__ import annotations

from typing import Any

from tests.diagnose.story import Lines, Story, Tell


def evaluate(story: Story, *, forwards: int, module: str = "model") -> None:
    for _ in range(forwards):
        order = story.forward(training=False, module=module, at=70)
        story.release(order, module=module, saved_bytes=3 * 2**20)


def train(story: Story, *, steps: int, **fields: Any) -> None:
    for _ in range(steps):
        order = story.forward(**fields)
        story.backward(forwards=(order,))
        story.step()
        story.clear("optimizer")


def test_three_in_a_row(tell: Tell, lines: Lines) -> None:
    """Two may be chance."""
    story = tell()
    train(story, steps=1)
    evaluate(story, forwards=2)
    assert story.codes == []
    evaluate(story, forwards=1)
    finding = story.found("GD304")
    assert lines(finding) == {"forward": 70}
    assert finding.message == (
        "3 forwards of `model` in eval mode built a graph that no backward used, each holding up to 3.0 "
        "MiB for it: `model(x)` (train.py:70)."
    )
    assert finding.fix == "Put `with torch.no_grad():` (or `torch.inference_mode()`) around train.py:70."


def test_a_program_that_only_evaluates_is_told_at_the_end(tell: Tell) -> None:
    """It could still have trained in eval mode."""
    story = tell()
    evaluate(story, forwards=5)
    assert story.codes == []
    story.end()
    assert story.codes == ["GD304"]


def test_training_in_eval_mode_disproves_it(tell: Tell) -> None:
    """Acting builds graphs, the update uses one: a policy in eval mode."""
    story = tell()
    for _ in range(3):
        evaluate(story, forwards=9)
        train(story, steps=1, training=False)
    story.end()
    assert story.codes == []


def test_an_attack_in_eval_mode_is_right(tell: Tell) -> None:
    """Gradients for an input, by ``torch.autograd.grad``, beside a clean forward that nobody needs."""
    story = tell()
    for _ in range(6):
        attacked, clean = (story.forward(training=False, at=line) for line in (50, 51))
        story.backward((), at=52, accumulates=False, forwards=(attacked,))
        story.release(clean)
        train(story, steps=1)
    assert story.codes == []


def test_an_evaluation_elsewhere_is_counted_by_its_own_line(tell: Tell) -> None:
    """Two places: each counts its own forwards."""
    story = tell()
    train(story, steps=1)
    evaluate(story, forwards=2)
    for _ in range(2):
        story.release(story.forward(training=False, at=75))
    assert story.codes == []
    evaluate(story, forwards=1)
    assert story.found("GD304").evidence["forwards"] == 3


def test_no_graph_is_right(tell: Tell) -> None:
    """Under no_grad nothing is built, nothing released."""
    story = tell()
    train(story, steps=1)
    for _ in range(9):
        story.forward(training=False, built_graph=False, grad_enabled=False)
    story.end()
    assert story.codes == []


def test_acting_in_train_mode_is_silent(tell: Tell) -> None:
    """Thousands of forwards of a policy that is in train mode."""
    story = tell()
    for _ in range(9):
        story.release(story.forward(), training=True)
    story.end()
    assert story.codes == []
