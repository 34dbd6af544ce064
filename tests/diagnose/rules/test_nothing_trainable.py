"""GD208: a step of an optimizer that owns nothing trainable."""

from __future__ import annotations

from graddebug.records import Severity
from tests.diagnose.story import Tell, lines

FROZEN = ("fc1.weight", "fc1.bias")


def test_frozen_before_the_head_was_put_on(tell: Tell) -> None:
    """The one finding, and it names what gets gradients and has no owner."""
    story = tell(optimizers={"optimizer": FROZEN}, outside=("head.weight", "head.bias"))
    story.freeze(FROZEN)
    story.forward()
    for _ in range(5):
        story.backward(("head.weight", "head.bias"))
        story.step()
    finding = story.found("GD208")
    assert story.codes == ["GD208"]
    assert (finding.severity, finding.count, finding.first_step) == (Severity.ERROR, 5, 0)
    assert lines(finding) == {"backward": 41, "step": 43}
    assert finding.message == (
        "`optimizer.step()` can change nothing: of the 2 parameters it owns (fc1.weight and fc1.bias) none "
        "requires grad, so no backward writes a gradient there. head.weight and head.bias did get some, and "
        "no optimizer owns them."
    )
    assert (
        finding.fix == "Build `optimizer` with the parameters that are to learn (head.weight and head.bias)."
    )


def test_a_tensor_that_was_never_asked(tell: Tell) -> None:
    """An image that is to be optimised; the network that judges it is not meant."""
    name = "optimizer.params[0]"
    story = tell(optimizers={"optimizer": (name,)}, outside=("net.weight",), origins={name: "optimizer"})
    story.freeze((name,))
    story.backward(("net.weight",))
    story.step()
    assert story.found("GD208").fix.startswith("Call `requires_grad_(True)` on what `optimizer` is to train")


def test_a_rebuilt_loss_is_the_consequence(tell: Tell) -> None:
    """`loss.requires_grad_()` hides that everything is frozen."""
    story = tell()
    story.freeze(story.names)
    story.backward((), leaf_root=True, nodes=0)
    story.step()
    assert story.codes == ["GD208"]


def test_frozen_beside_an_optimizer_that_trains(tell: Tell) -> None:
    """It may be unfrozen later: a note, when the run is over and was long."""
    story = tell(optimizers={"optimizer": FROZEN, "opt_head": ("head.weight",)})
    story.freeze(FROZEN)
    for _ in range(25):
        story.clear("opt_head")
        story.backward(("head.weight",))
        story.step()
        story.step("opt_head", at=44)
    assert "GD208" not in story.codes
    story.end()
    assert story.found("GD208").severity is Severity.NOTE


def test_unfrozen_at_last(tell: Tell) -> None:
    """Then there is nothing to say."""
    story = tell(optimizers={"optimizer": FROZEN, "opt_head": ("head.weight",)})
    story.freeze(FROZEN)
    for step in range(30):
        if step == 25:
            story.freeze(FROZEN, frozen=False)
        story.clear("optimizer")
        story.clear("opt_head")
        story.backward(None if step >= 25 else ("head.weight",))
        story.step()
        story.step("opt_head", at=44)
    story.end()
    assert story.codes == []


def test_gradients_that_the_program_estimates(tell: Tell) -> None:
    """Without autograd nothing requires grad, and the step moves what it is given."""
    story = tell()
    story.freeze(story.names)
    for _ in range(5):
        story.edit(how="assigned")
        story.step(frozen=story.set(None), moved_idle=story.set(None))
    story.end()
    assert story.alarms == []


def test_a_dry_run(tell: Tell) -> None:
    """Learning rates of zero change nothing anyway."""
    story = tell()
    story.freeze(story.names)
    story.step(lr=(0.0,))
    assert story.codes == []
