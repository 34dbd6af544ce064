"""GD405: gradients divided by another loss scale than the one they carry."""

from __future__ import annotations

from tests.diagnose.story import Lines, Story, Tell


def two_steps(story: Story, *, after: float) -> None:
    """One backward, of which the second half is unscaled behind an update."""
    story.scaler()
    story.scaled(at=40)
    story.update(at=41, after=after)
    story.unscale(at=42, scale=after)
    story.scaler_step(at=43, unscaled=True)


def test_an_update_came_between(tell: Tell, lines: Lines) -> None:
    """The scale doubled after the loss was scaled."""
    story = tell()
    two_steps(story, after=2048.0)
    assert story.codes == ["GD405"]
    finding = story.found("GD405")
    assert lines(finding) == {"backward": 40, "update": 41, "step": 43}
    assert "applied gradients 2 times too small" in finding.message


def test_an_update_that_changes_nothing(tell: Tell) -> None:
    """Most updates leave the scale as it is."""
    story = tell()
    two_steps(story, after=1024.0)
    assert story.codes == []


def test_changed_by_hand_is_not_judged(tell: Tell) -> None:
    """The program may have corrected it itself."""
    story = tell()
    story.scaler()
    story.scaled()
    story.edit()
    story.update(after=2048.0)
    story.unscale(scale=2048.0)
    story.scaler_step(unscaled=True)
    assert "GD405" not in story.codes
