"""GD406: a scaled backward adds to gradients that were unscaled already."""

from __future__ import annotations

from tests.diagnose.story import Lines, Tell


def test_a_backward_after_unscaling(tell: Tell, lines: Lines) -> None:
    """The unscaling came too early."""
    story = tell()
    story.scaler()
    story.scaled(at=40)
    story.unscale(at=41)
    story.scaled(at=42)
    story.scaler_step(at=43, unscaled=True)
    assert story.codes == ["GD406"]
    assert lines(story.found("GD406")) == {"step": 43, "backward": 42, "unscale": 41}


def test_cleared_before_the_step_harms_nobody(tell: Tell) -> None:
    """Severity follows consumption."""
    story = tell()
    story.scaler()
    story.scaled()
    story.unscale()
    story.scaled()
    story.clear("optimizer")
    assert "GD406" not in story.codes


def test_accumulation_unscaled_at_its_end(tell: Tell) -> None:
    """All that was added up is divided once."""
    story = tell()
    story.scaler()
    for _ in range(3):
        story.clear("optimizer")
        story.scaled()
        story.scaled()
        story.unscale()
        story.scaler_step(unscaled=True)
        story.update()
    assert story.codes == []
