"""GD610: schedules that move with each micro-batch."""

from __future__ import annotations

from graddebug.records import SchedulerStep, Severity
from tests.diagnose.story import Lines, Story, Tell


def move(story: Story, **planned: int) -> None:
    story.tell(
        SchedulerStep,
        at=44,
        source="scheduler.step()",
        optimizer=0,
        scheduler="scheduler",
        lr=(0.1,),
        **planned,
    )


def window(story: Story, *, micro_batches: int = 4, every: bool = True, **planned: int) -> None:
    for i in range(micro_batches):
        story.backward()
        if i == micro_batches - 1:
            story.step()
            story.clear("optimizer", at=43)
        if every or i == micro_batches - 1:
            move(story, **planned)


def test_fires_after_two_windows(tell: Tell, lines: Lines) -> None:
    """Four moves for each step."""
    story = tell()
    for _ in range(2):
        window(story)
    assert "GD610" not in story.codes
    window(story)
    finding = story.found("GD610")
    assert (finding.severity, lines(finding)) == (Severity.WARNING, {"schedule": 44, "step": 43})
    assert finding.message == (
        "`scheduler.step()` (train.py:44) moved 4 times for one `optimizer.step()` (train.py:43), once for "
        "each of the 4 micro-batches that step accumulates: the schedule runs 4 times too fast."
    )


def test_once_for_each_step_is_right(tell: Tell) -> None:
    """The twin."""
    story = tell()
    for _ in range(6):
        window(story, every=False)
    story.end()
    assert story.codes == []


def test_without_accumulation_it_is_right(tell: Tell) -> None:
    """One backward, one step, one move."""
    story = tell()
    for _ in range(6):
        window(story, micro_batches=1)
    story.end()
    assert story.codes == []


def test_a_schedule_planned_in_micro_batches_is_right(tell: Tell) -> None:
    """It ends with the run."""
    story = tell()
    for i in range(6):
        window(story, planned=24, done=4 * (i + 1))
    story.end()
    assert "GD610" not in story.codes


def test_a_schedule_planned_in_steps(tell: Tell) -> None:
    """It is over after a fourth of the run."""
    story = tell()
    for i in range(6):
        window(story, planned=6, done=4 * (i + 1))
    assert "GD610" in story.codes


def test_a_short_schedule_that_raises(tell: Tell) -> None:
    """`OneCycleLR` refuses to move on when it is over, though the run had few windows until then."""
    story = tell()
    for i in range(2):
        window(story, planned=8, done=4 * (i + 1))
    assert "GD610" not in story.codes
    story.end("exception")
    assert "GD610" in story.codes
