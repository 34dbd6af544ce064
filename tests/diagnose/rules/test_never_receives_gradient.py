"""GD204: owned, trainable, and never written."""

from __future__ import annotations

from graddebug.records import ParametersUnregistered, Severity
from tests.diagnose.story import Lines, Story, Tell

WRITTEN = ("fc1.weight", "fc1.bias")
SILENT = ("fc2.weight", "fc2.bias")


def train(
    story: Story,
    *,
    steps: int,
    written: tuple[str, ...] | None = WRITTEN,
    used: tuple[str, ...] | None = WRITTEN,
) -> None:
    for _ in range(steps):
        story.used(used)
        story.backward(written)
        story.step()
        story.clear("optimizer")


def test_module_runs_but_is_cut_off(tell: Tell, lines: Lines) -> None:
    """When it has run in twenty windows it is told."""
    story = tell()
    train(story, steps=19, used=None)
    assert story.codes == []
    train(story, steps=1, used=None)
    finding = story.found("GD204")
    assert (finding.parameters, lines(finding)) == (SILENT, {"step": 43})
    assert (finding.severity, finding.message) == (
        Severity.WARNING,
        "`optimizer` owns fc2.weight and fc2.bias, but no backward wrote a gradient there in 20 windows: "
        "the modules ran forward, so their output is cut off from the loss or not used.",
    )


def test_a_short_run_is_judged_at_its_end(tell: Tell) -> None:
    """Nothing can follow any more."""
    story = tell()
    train(story, steps=3, used=None)
    assert story.codes == []
    story.end()
    assert story.found("GD204").severity is Severity.WARNING


def test_an_auxiliary_loss_after_a_warm_up_is_right(tell: Tell) -> None:
    """Its head runs from the start and enters the loss later."""
    story = tell()
    train(story, steps=15, used=None)
    train(story, steps=15, used=None, written=None)
    story.end()
    assert story.codes == []


def test_module_never_ran(tell: Tell) -> None:
    """A note while the run may still call it, a warning at its end."""
    story = tell()
    train(story, steps=20)
    finding = story.found("GD204")
    assert finding.severity is Severity.NOTE
    assert finding.message.endswith("in 20 windows: the modules did not run forward with gradients enabled.")
    train(story, steps=5)
    story.end()
    assert story.found("GD204").severity is Severity.WARNING
    assert story.found("GD204").fix == (
        "Call the modules in the forward (not under `no_grad`), or take them out of `optimizer` or freeze them."
    )


def test_a_module_trained_in_a_later_stage_is_a_note(tell: Tell) -> None:
    """An autoencoder first, the classifier on top of it later."""
    story = tell()
    train(story, steps=30)
    train(story, steps=10, used=None, written=None)
    story.end()
    assert story.alarms == []


def test_one_call_of_the_whole_model_does_not_count_as_running(tell: Tell) -> None:
    """A look at the shapes before training, then stages."""
    story = tell()
    story.used()
    train(story, steps=30)
    assert story.alarms == []


def test_an_expert_that_was_never_chosen_is_a_note(tell: Tell) -> None:
    """Its neighbours in the row are trained."""
    shapes = {f"experts.{n}.weight": (4, 4) for n in range(3)}
    story = tell(*shapes, shapes=shapes)
    train(story, steps=30, written=tuple(shapes)[:2], used=tuple(shapes)[:2])
    story.end()
    assert story.found("GD204").severity is Severity.NOTE


def test_ran_and_never_ran_are_two_findings(tell: Tell) -> None:
    """They have different reasons and different fixes."""
    story = tell()
    train(story, steps=25, used=("fc1.weight", "fc1.bias", "fc2.weight"))
    assert [f.parameters for f in story.findings] == [("fc2.weight",), ("fc2.bias",)]


def test_sometimes_is_enough(tell: Tell) -> None:
    """Experts and stochastic depth get a gradient now and then."""
    story = tell()
    for _ in range(10):
        train(story, steps=3)
        train(story, steps=1, written=None, used=None)
    story.end()
    assert story.codes == []


def test_a_parameter_that_left_its_module_is_not_asked_for(tell: Tell) -> None:
    """A codebook whose forward puts a new parameter in its place."""
    story = tell()
    train(story, steps=1, used=None)
    story.tell(ParametersUnregistered, params=story.set(SILENT))
    train(story, steps=40, used=None)
    story.end()
    assert story.codes == []


def test_frozen_parameters_may_be_owned(tell: Tell) -> None:
    """An optimizer may hold frozen parameters."""
    story = tell()
    story.freeze(SILENT)
    train(story, steps=40, used=None)
    story.end()
    assert story.codes == []
