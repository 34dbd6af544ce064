"""GD110: regular outliers in the number of backwards per step."""

from __future__ import annotations

import pytest

from tests.diagnose.story import Lines, Story, Tell


def windows(story: Story, counts: list[int]) -> None:
    for count in counts:
        for _ in range(count):
            story.backward()
        story.step()
        story.clear("optimizer")
    story.end()


def test_tail_carried_into_the_next_epoch(tell: Tell, lines: Lines) -> None:
    """Each epoch's first window holds the last one's rest."""
    story = tell()
    windows(story, [4, 4, 4, 6, 4, 4, 6, 4, 4, 6, 4, 4])
    finding = story.found("GD110")
    assert lines(finding) == {"step": 43}
    assert finding.message == (
        "`optimizer.step()` (train.py:43) uses 4 backwards each time, but 6 every 3 steps (3 times in this "
        "run)."
    )


def test_an_epochs_short_rest_is_told_as_the_shorter_one(tell: Tell) -> None:
    """As often as the full window: the larger number is the usual one."""
    story = tell()
    windows(story, [4, 3, 4, 3, 4, 3])
    finding = story.found("GD110")
    assert "uses 4 backwards each time, but 3 every 2 steps" in finding.message
    assert finding.fix.startswith("If the shorter window is an epoch's rest, divide its losses by its own 3")


@pytest.mark.parametrize(
    "counts",
    [[4] * 12, [3, 1, 4, 2, 4, 5, 1], [1, 4, 4, 4, 4], [4, 4, 2], [4, 4, 6, 4, 6, 4, 4, 4, 6]],
    ids=["even", "varying", "first one short", "partial tail", "irregular"],
)
def test_other_counts_are_silent(tell: Tell, counts: list[int]) -> None:
    """Even, varying and irregular counts are the user's own."""
    story = tell()
    windows(story, counts)
    assert story.codes == []


def test_another_loss_now_and_then_is_no_accumulation(tell: Tell) -> None:
    """A regulariser with a backward of its own every fourth step."""
    story = tell()
    for number in range(24):
        story.backward()
        if number % 4 == 3:
            story.backward(at=50)
        story.step()
        story.clear("optimizer")
    story.end()
    assert story.codes == []
