"""GD205: gradients that a parameter had, and has no more."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from graddebug.records import Severity
from tests.diagnose.story import MODEL, Story, Tell, lines

ENCODER, HEAD = ("fc1.weight", "fc1.bias"), ("fc2.weight", "fc2.bias")


def train(story: Story, windows: int, written: Collection[str] | None = None) -> None:
    """Ordinary windows that write all, or some."""
    for _ in range(windows):
        story.clear("optimizer")
        story.backward(written)
        story.step()


def cut_off(story: Story, stretches: int, **fields: object) -> Story:
    """After 10 whole windows only the head is trained, while the encoder runs."""
    train(story, 10)
    for _ in range(stretches):
        train(story, 8, HEAD)
        told = {"in_front": HEAD, "steps": 8} | fields
        story.quiet(ENCODER, **told)  # type: ignore[arg-type]
    return story


def test_an_encoder_that_is_cut_off(tell: Tell) -> None:
    """It ran, and the head in front of it was trained as before."""
    finding = cut_off(tell(), 3).found("GD205")
    assert finding.severity is Severity.WARNING
    assert finding.parameters == ENCODER
    assert finding.first_step == 9
    assert lines(finding) == {"forward": 60, "backward": 41, "step": 43}
    assert finding.message == (
        "fc1.weight and fc1.bias received gradients in 10 steps, the last one in step 9, and none in 24 steps "
        "since, while fc2.weight and fc2.bias, between them and the loss, are trained as before. The module "
        "still runs, so what it returns is cut off from the loss."
    )


@pytest.mark.parametrize(("how", "word"), [("no_grad", "`no_grad` block"), ("checkpoint", "use_reentrant")])
def test_the_fix_fits_how_it_runs(tell: Tell, how: str, word: str) -> None:
    """Under no_grad and in a reentrant checkpoint one looks for something else."""
    assert word in cut_off(tell(), 3, how=how).found("GD205").fix


def test_a_short_run_is_told_at_its_end(tell: Tell) -> None:
    """Then no phase can follow."""
    story = cut_off(tell(), 2)
    assert story.codes == []
    story.end()
    assert story.codes == ["GD205"]


def test_no_longer_than_it_was_trained(tell: Tell) -> None:
    """Training may go in phases of equal length."""
    story = tell()
    train(story, 30)
    cut_off(story, 4)
    assert story.codes == []


@pytest.mark.parametrize(
    "fields",
    [{"in_front": ()}, {"how": "no_grad", "training": False}],
    ids=["no loss behind it", "eval mode"],
)
def test_what_ends_by_design(tell: Tell, fields: dict[str, object]) -> None:
    """A head whose loss has ended; a part that runs in eval mode without gradients."""
    story = cut_off(tell(), 4, **fields)
    story.end()
    assert story.alarms == []


def test_a_frozen_part(tell: Tell) -> None:
    """What does not require grad is not lost."""
    story = tell()
    train(story, 10)
    story.freeze(ENCODER)
    for _ in range(4):
        train(story, 8, HEAD)
        story.quiet(ENCODER, in_front=HEAD, steps=8)
    story.end()
    assert story.alarms == []


def test_what_came_back_before(tell: Tell) -> None:
    """A part that is trained now and then will be so again."""
    story = tell()
    for _ in range(3):
        train(story, 10)
        for _ in range(2):
            train(story, 8, HEAD)
            story.quiet(ENCODER, in_front=HEAD, steps=8)
    story.end()
    assert [code for code in story.codes if code == "GD205"] == []


def test_a_learned_initial_state(tell: Tell) -> None:
    """It gets a gradient in the first chunk of each sequence, from the first sequence on."""
    story = tell()
    for _ in range(12):
        train(story, 1)
        for _ in range(4):
            train(story, 8, HEAD)
            story.quiet(ENCODER, in_front=HEAD, steps=8)
    story.end()
    assert story.alarms == []


def test_one_of_alike_is_trained_in_its_place(tell: Tell) -> None:
    """An expert that is not chosen any more."""
    names = ("experts.0.weight", "experts.1.weight", "head.weight")
    story = tell(*names, shapes=dict.fromkeys(names, (4, 4)))
    train(story, 10)
    for _ in range(4):
        train(story, 8, names[1:])
        story.quiet(names[:1], in_front=names[2:], steps=8)
    story.end()
    assert story.alarms == []


def test_another_optimizer_trains_what_is_in_front(tell: Tell) -> None:
    """A generator that waits while the discriminator is trained."""
    story = tell(optimizers={"optimizer": MODEL[:2], "opt_d": MODEL[2:]})
    for _ in range(10):
        story.backward(ENCODER)
        story.step()
        story.clear("optimizer")
    for _ in range(40):
        story.backward(HEAD)
        story.step("opt_d", at=53)
        story.clear("opt_d")
    story.quiet(ENCODER, in_front=HEAD, steps=40)
    story.end()
    assert "GD205" not in story.codes


def test_an_optimizer_that_was_replaced(tell: Tell) -> None:
    """The new one owns the head alone: the old one, which owned all, does not step any more."""
    story = tell(optimizers={"optimizer": MODEL, "opt_head": HEAD})
    train(story, 10)
    for _ in range(5):
        for _ in range(8):
            story.clear("opt_head")
            story.backward(HEAD)
            story.step("opt_head", at=53)
        story.quiet(ENCODER, in_front=HEAD, steps=8)
    story.end()
    assert "GD205" not in story.codes
