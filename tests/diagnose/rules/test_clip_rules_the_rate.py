"""GD606: clips that act on nearly every step."""

from __future__ import annotations

from collections.abc import Iterable

from graddebug.records import Severity
from tests.diagnose.story import Lines, Story, Tell


def train(story: Story, norms: Iterable[float], *, limit: float = 1.0) -> None:
    for norm in norms:
        story.clear("optimizer")
        story.backward()
        story.clip(max_norm=limit, total_norm=norm)
        story.step()


def test_fires_after_twenty_steps(tell: Tell, lines: Lines) -> None:
    """It is a note, with the typical norm."""
    story = tell()
    train(story, [8.0] * 19)
    assert story.codes == []
    train(story, [8.0])
    finding = story.found("GD606")
    assert (finding.severity, lines(finding)) == (Severity.NOTE, {"clip": 42})
    assert finding.message == (
        "`clip_grad_norm_(params, 1.0)` (train.py:42) acted on 20 of 20 steps: the norm is 8 times its limit "
        "of 1, typically. What `optimizer` then applies has the norm 1, whatever the gradient's own."
    )


def test_one_in_five_left_alone(tell: Tell) -> None:
    """Then the clip is not the rule."""
    story = tell()
    train(story, [8.0, 8.0, 8.0, 8.0, 0.5] * 10)
    assert story.codes == []


def test_samples_clipped_one_by_one_are_right(tell: Tell) -> None:
    """Private training clips each sample's gradient: what the step applies is the sum of them."""
    story = tell()
    for _ in range(20):
        story.clear("optimizer")
        story.backward()
        story.clip(max_norm=1.0, total_norm=8.0)
    train(story, [0.5])
    assert story.codes == []
