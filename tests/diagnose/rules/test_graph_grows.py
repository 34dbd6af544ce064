"""GD306: graphs that reach further back with every step."""

from __future__ import annotations

from graddebug.records import GraphGrew
from tests.diagnose.story import Lines, Story, Tell, site


def grow(story: Story, *, steps: int, reach: int = 100, update: str = "step", scalar: bool = False) -> None:
    """Steps of which each has a larger graph than the one before."""
    for step in range(1, steps + 1):
        if step >= 4:
            told = {"grown": step, "before": 11, "nodes": 11 + 6 * step, "reach": min(step, reach)}
            joint = {"op": "AddBackward0" if scalar else "ViewBackward0", "scalar": scalar}
            place = site(30, "out, h = rnn(x, h)")
            story.tell(GraphGrew, at=41, source="loss.backward()", op_site=place, **told, **joint)
        story.backward()
        if update == "step":
            story.step()
        elif update == "by hand":
            story.move()
        story.clear(params=None)


def test_eight_steps_in_a_row(tell: Tell, lines: Lines) -> None:
    """Wording."""
    story = tell()
    grow(story, steps=7)
    assert story.codes == []
    grow(story, steps=8)
    finding = story.found("GD306")
    assert lines(finding) == {"backward": 41, "carried": 30}
    assert finding.message == (
        "The graph of `loss.backward()` (train.py:41) has grown in 8 steps in a row, from 11 to 59 nodes: it "
        "reaches back 8 steps, through forwards whose backward has run already. The link is View, `out, h = rnn(x, "
        "h)` (train.py:30)."
    )
    assert "(`state = state.detach()`) where it is used again at train.py:30" in finding.fix


def test_a_sum_of_losses_is_told_how_to_add_up(tell: Tell) -> None:
    """Its fix is another."""
    story = tell()
    grow(story, steps=8, scalar=True)
    assert story.found("GD306").fix.startswith("Run backward on the loss of this step alone")


def test_updates_by_hand_count(tell: Tell) -> None:
    """There is no optimizer."""
    story = tell(optimizers={}, outside=("w",))
    grow(story, steps=8, update="by hand")
    assert story.codes == ["GD306"]


def test_a_window_that_is_filled_is_right(tell: Tell) -> None:
    """Truncated back-propagation over five steps, whose sequences happen to become longer."""
    story = tell()
    grow(story, steps=20, reach=5)
    assert story.codes == []


def test_one_episode_with_a_backward_a_time_is_right(tell: Tell) -> None:
    """Nothing is updated before its end."""
    story = tell(optimizers={}, outside=("w",))
    for _ in range(3):
        grow(story, steps=20, update="")
        story.move()
    assert story.codes == []
