"""GD203: layers in a plain list."""

from __future__ import annotations

from graddebug.records import OptimizerOwns
from tests.diagnose.story import Lines, Story, Tell

LIST = {
    "optimizers": {"optimizer": ("fc1.weight",)},
    "outside": ("blocks[0].weight",),
    "origins": {"blocks[0].weight": "unregistered"},
}


def train(story: Story, *, steps: int) -> None:
    for _ in range(steps):
        story.clear("optimizer")
        story.backward()
        story.step()


def test_layer_in_a_plain_list(tell: Tell, lines: Lines) -> None:
    """It gets gradients and belongs nowhere."""
    story = tell(**LIST)
    train(story, steps=30)
    finding = story.found("GD203")
    assert (finding.parameters, lines(finding)) == (("blocks[0].weight",), {"backward": 41})
    assert story.codes == ["GD203"]
    assert finding.message == (
        "`loss.backward()` (train.py:41) wrote gradients of blocks[0].weight, which took part in a watched "
        "module's forward but are registered in no module and owned by no optimizer: they will never be "
        "trained, saved or moved to a device."
    )


def test_owned_by_an_optimizer_is_right(tell: Tell) -> None:
    """Given to the optimizer by hand, it learns."""
    story = tell(**LIST)
    story.tell(OptimizerOwns, optimizer=0, params=(0, 1))
    story.optimizers["optimizer"] = ("fc1.weight", "blocks[0].weight")
    train(story, steps=30)
    assert story.codes == []


def test_a_free_leaf_is_the_users_own(tell: Tell) -> None:
    """An image under optimisation, a latent: not a forgotten layer."""
    story = tell(**{**LIST, "origins": {"blocks[0].weight": "leaf"}})
    train(story, steps=30)
    assert story.codes == []
