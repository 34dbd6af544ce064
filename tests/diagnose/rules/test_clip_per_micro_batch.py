"""GD604: clips of sums that are not complete."""

from __future__ import annotations

from graddebug.records import Severity
from tests.diagnose.story import MODEL, Lines, Story, Tell


def accumulate(
    story: Story, *, clips: int, micro_batches: int = 4, limit: float = 1.0, norm: float = 8.0
) -> None:
    story.clear("optimizer")
    for i in range(micro_batches):
        story.backward()
        if i >= micro_batches - clips:
            story.clip(max_norm=limit, total_norm=norm)
    story.step()


def test_fires_at_the_step(tell: Tell, lines: Lines) -> None:
    """Four calls, three of them on partial sums."""
    story = tell()
    accumulate(story, clips=4)
    finding = story.found("GD604")
    assert (finding.severity, finding.parameters) == (Severity.WARNING, MODEL)
    assert lines(finding) == {"backward": 41, "step": 43, "clip": 42}
    assert (finding.evidence["clips"], finding.evidence["partial_sums_cut"]) == (4, 3)


def test_wording(tell: Tell) -> None:
    """Message and fix."""
    story = tell()
    accumulate(story, clips=4)
    assert story.found("GD604").message == (
        "`clip_grad_norm_(params, 1.0)` (train.py:42) ran 4 times for one `optimizer.step()` (train.py:43), "
        "each time on the sum of the micro-batches so far in fc1.weight, fc1.bias and 2 more (4 backwards in "
        "all). It cut 3 of the 3 partial sums to a norm of 1: early micro-batches weigh less than late ones."
    )


def test_once_for_each_step_is_right(tell: Tell) -> None:
    """The twin."""
    story = tell()
    for _ in range(3):
        accumulate(story, clips=1)
    assert story.codes == []


def test_reading_the_norm_is_right(tell: Tell) -> None:
    """max_norm=inf does not clip."""
    story = tell()
    for _ in range(3):
        accumulate(story, clips=4, limit=float("inf"))
    assert story.codes == []


def test_disjoint_groups_are_right(tell: Tell) -> None:
    """One line, several calls, each of other parameters."""
    story = tell()
    for _ in range(3):
        story.clear("optimizer")
        story.backward()
        story.clip(MODEL[:2], max_norm=1.0, total_norm=8.0)
        story.clip(MODEL[2:], max_norm=1.0, total_norm=8.0)
        story.step()
    assert story.codes == []


def test_samples_cleared_one_by_one_are_right(tell: Tell) -> None:
    """Private training clips each sample's gradient, and sums by hand."""
    story = tell()
    for _ in range(3):
        for _ in range(4):
            story.clear("optimizer")
            story.backward()
            story.clip(max_norm=1.0, total_norm=8.0)
        story.edit()
        story.step()
    assert "GD604" not in story.codes


def test_scaled_gradients_are_another_finding(tell: Tell) -> None:
    """GD401 tells it."""
    story = tell()
    story.scaler()
    story.clear("optimizer")
    for _ in range(3):
        story.scaled()
        story.clip(max_norm=1.0, total_norm=8.0, scale=1024.0, norm_before=8.0, norm_after=1.0)
    story.scaler_step()
    assert "GD604" not in story.codes
