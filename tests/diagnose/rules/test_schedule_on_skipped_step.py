"""GD412: a scheduler moved on although the step was skipped."""

from __future__ import annotations

from graddebug.records import SchedulerStep
from tests.diagnose.story import Lines, Story, Tell


def schedule(story: Story, *, at: int = 45) -> None:
    story.tell(SchedulerStep, at=at, source="scheduler.step()", optimizer=0, scheduler="scheduler", lr=(0.1,))


def iteration(story: Story, *, skipped: bool, scheduled: bool = True) -> None:
    story.clear("optimizer")
    story.scaled(nonfinite=story.set(None) if skipped else ())
    story.scaler_step(skipped=skipped)
    story.update()
    if scheduled:
        schedule(story)


def test_a_schedule_that_counts_a_skipped_step(tell: Tell, lines: Lines) -> None:
    """A note."""
    story = tell()
    story.scaler()
    iteration(story, skipped=True)
    assert story.codes == ["GD414", "GD412"]
    assert lines(story.found("GD412")) == {"step": 43, "schedule": 45}


def test_a_schedule_that_waits(tell: Tell) -> None:
    """Steps that were taken, and one that was skipped and not counted."""
    story = tell()
    story.scaler()
    iteration(story, skipped=False)
    iteration(story, skipped=True, scheduled=False)
    iteration(story, skipped=False)
    assert "GD412" not in story.codes
