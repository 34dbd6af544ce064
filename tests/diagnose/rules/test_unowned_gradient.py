"""GD106: gradients that pile up where no optimizer clears."""

from __future__ import annotations

from graddebug.records import Severity
from tests.diagnose.story import Lines, Story, Tell

PARTS = {"optimizers": {"optimizer": ("head.weight",)}, "outside": ("backbone.weight",)}


def train(story: Story, *, steps: int, clip: bool = False, clear_all: bool = False) -> None:
    for _ in range(steps):
        story.clear("optimizer")
        if clear_all:
            story.clear(params=None, how="module.zero_grad")
        story.backward()
        if clip:
            story.clip(total_norm=9.5)
        story.step()


def test_fires_after_three_windows(tell: Tell, lines: Lines) -> None:
    """Two windows may be a transition, three are a pile."""
    story = tell(**PARTS)
    train(story, steps=2)
    assert story.codes == []
    train(story, steps=1)
    finding = story.found("GD106")
    assert finding.severity is Severity.WARNING
    assert (finding.parameters, lines(finding)) == (("backbone.weight",), {"backward": 41})


def test_wording(tell: Tell) -> None:
    """Message and fix."""
    story = tell(**PARTS)
    train(story, steps=3)
    assert story.found("GD106").message == (
        "No optimizer owns backbone.weight, but `loss.backward()` (train.py:41) adds to their gradients: "
        "they are the sum of 3 backwards now, no `optimizer.zero_grad()` clears them, and no step uses "
        "them."
    )
    assert story.found("GD106").fix == (
        "Freeze them with `requires_grad_(False)`, or give them to an optimizer if they are to learn."
    )


def test_a_clip_that_counts_them_is_another_finding(tell: Tell) -> None:
    """GD608 tells what the clip does to real gradients; what piles up is a warning as ever."""
    story = tell(**PARTS)
    train(story, steps=6, clip=True)
    finding = story.found("GD106")
    assert (finding.severity, finding.count, "clip" in finding.message) == (Severity.WARNING, 4, False)


def fixed_network(story: Story, *, windows: int, owned: bool = False) -> None:
    for _ in range(windows):
        story.clear("optimizer")
        story.forward(("head.weight",), module="q")
        story.forward((("head.weight",) if owned else ()) + ("backbone.weight",), module="target")
        story.backward()
        story.step()


def test_a_target_is_a_note(tell: Tell) -> None:
    """Built like the network in training and copied from it now and then: a waste on purpose."""
    story = tell(**PARTS, shapes={"head.weight": (4, 4), "backbone.weight": (4, 4)})
    fixed_network(story, windows=9)
    finding = story.found("GD106")
    assert (finding.severity, "no_grad" in finding.fix) == (Severity.NOTE, True)


def test_another_network_in_no_optimizer_is_a_warning(tell: Tell) -> None:
    """A backbone of its own, a loss network: it should be frozen."""
    story = tell(**PARTS)
    fixed_network(story, windows=9)
    assert story.found("GD106").severity is Severity.WARNING


def test_part_of_a_trained_network_is_one_finding(tell: Tell) -> None:
    """The twin: the head in the same module is trained. The cause is told, with what follows from it."""
    story = tell(**PARTS)
    fixed_network(story, windows=9, owned=True)
    assert "GD106" not in story.codes
    assert "they are the sum of" in story.found("GD201").message


def test_weights_that_the_program_updates_itself_are_right(tell: Tell) -> None:
    """A target network that follows by an average."""
    story = tell(**PARTS)
    for _ in range(9):
        story.clear("optimizer")
        story.backward()
        story.step()
        story.move(("backbone.weight",))
    assert story.codes == []


def test_changing_all_weights_is_no_training(tell: Tell) -> None:
    """The twin: an average is swapped in for the evaluation of the whole model."""
    story = tell(**PARTS)
    for _ in range(9):
        story.clear("optimizer")
        story.backward()
        story.step()
        story.move()
    assert story.codes == ["GD106"]


def test_module_zero_grad_keeps_them_small(tell: Tell) -> None:
    """model.zero_grad() clears what optimizer.zero_grad() does not."""
    story = tell(**PARTS)
    train(story, steps=9, clear_all=True)
    assert story.codes == []


def test_frozen_parameters_get_nothing(tell: Tell) -> None:
    """The fix: frozen parameters are not written."""
    story = tell(**PARTS)
    story.freeze(("backbone.weight",))
    for _ in range(9):
        story.clear("optimizer")
        story.backward(("head.weight",))
        story.step()
    assert story.codes == []


def test_manual_sgd_has_no_optimizer(tell: Tell) -> None:
    """Without any optimizer nobody knows who owns what."""
    story = tell(optimizers={}, outside=("w",))
    for _ in range(9):
        story.backward()
    story.end()
    assert story.codes == []
