"""GD204: owned, trainable, and never written."""

from __future__ import annotations

from tests.diagnose.story import Lines, Story, Tell

WRITTEN = ("fc1.weight", "fc1.bias")
SILENT = ("fc2.weight", "fc2.bias")


def train(story: Story, *, steps: int, written: tuple[str, ...] | None = WRITTEN) -> None:
    for _ in range(steps):
        story.backward(written)
        story.step()
        story.clear("optimizer")


def test_module_ran_but_is_cut_off(tell: Tell, lines: Lines) -> None:
    """Three windows after its first forward it is told."""
    story = tell()
    story.used()
    train(story, steps=2)
    assert story.codes == []
    train(story, steps=1)
    finding = story.found("GD204")
    assert (finding.parameters, lines(finding)) == (SILENT, {"step": 43})
    assert finding.message == (
        "`optimizer` owns fc2.weight and fc2.bias, but no backward wrote a gradient there in 3 windows: "
        "the modules ran "
        "forward, so their output is cut off from the loss or not used."
    )


def test_module_never_ran(tell: Tell) -> None:
    """A module that does not run gets twenty windows."""
    story = tell()
    story.used(WRITTEN)
    train(story, steps=19)
    assert story.codes == []
    train(story, steps=1)
    assert story.found("GD204").message.endswith("in 20 windows: the modules did not run forward at all.")
    assert story.found("GD204").fix == (
        "Call the modules in the forward, or take them out of `optimizer` or freeze them."
    )


def test_a_module_that_runs_later_gets_its_time(tell: Tell) -> None:
    """The windows are counted from its first forward."""
    story = tell()
    story.used(WRITTEN)
    train(story, steps=15)
    story.used(SILENT)
    train(story, steps=30, written=None)
    assert story.codes == []


def test_ran_and_never_ran_are_two_findings(tell: Tell) -> None:
    """They have different reasons and different fixes."""
    story = tell()
    story.used(("fc1.weight", "fc1.bias", "fc2.weight"))
    train(story, steps=25)
    assert [f.parameters for f in story.findings] == [("fc2.weight",), ("fc2.bias",)]


def test_sometimes_is_enough(tell: Tell) -> None:
    """Experts and stochastic depth get a gradient now and then."""
    story = tell()
    story.used(WRITTEN)
    for _ in range(10):
        train(story, steps=3)
        story.used(SILENT)
        train(story, steps=1, written=None)
    assert story.codes == []


def test_frozen_parameters_may_be_owned(tell: Tell) -> None:
    """An optimizer may hold frozen parameters."""
    story = tell()
    story.freeze(SILENT)
    story.used()
    train(story, steps=40)
    assert story.codes == []
