from pathlib import Path

from graddebug.views.life import Life, life
from graddebug.views.line import plain
from tests.views.recordings import recorded


def _words(told: Life) -> dict[str, str]:
    return {row.word: plain(row.words) for row in told.rows}


def test_events_are_told_in_order_with_their_lines(tmp_path: Path) -> None:
    """The step reads from forward to its end."""
    told = life(recorded(tmp_path / "run", steps=5), 3)
    assert [(row.word, row.where) for row in told.rows] == [
        ("forward", "train.py:11"),
        ("backward", "train.py:13"),
        ("clipped", "train.py:14"),
        ("step", "train.py:15"),
        ("step over", ""),
    ]


def test_a_stale_gradient_is_told_where_it_is_written_and_where_it_is_consumed(tmp_path: Path) -> None:
    """Without zero_grad, step 3 consumes what steps 0 to 2 consumed before."""
    words = _words(life(recorded(tmp_path / "run", steps=5), 3))
    assert words["backward"].startswith("wrote 6 gradients onto consumed ones, loss ")
    assert words["step"].startswith("3 of 4 backwards consumed before (since step 0): optimizer consumed")


def test_a_correct_loop_has_nothing_to_remark(tmp_path: Path) -> None:
    """With zero_grad, each step consumes one backward."""
    words = _words(life(recorded(tmp_path / "run", steps=5, clears=True, found=False), 3))
    assert words["cleared"] == "optimizer.zero_grad of optimizer: 6 gradients to None"
    assert words["step"] == "optimizer consumed 6 gradients, lr 0.001"


def test_history_before_the_look_back_is_said_to_be_incomplete(tmp_path: Path) -> None:
    """Counts are lower bounds once the window is shorter than the gradient's life."""
    words = _words(life(recorded(tmp_path / "run", steps=60), 50))
    assert words["step"].startswith("32+ of 33+ backwards consumed before (since step 18 or before): ")


def test_findings_stand_at_the_lines_they_name(tmp_path: Path) -> None:
    """GD101 names the backward and the step; a finding without lines is kept apart."""
    told = life(recorded(tmp_path / "run", steps=5), 4)
    marks = {row.word: [finding.code for finding in row.findings] for row in told.rows if row.findings}
    assert marks == {"backward": ["GD101"], "step": ["GD101", "GD204"]}
    assert [finding.code for finding in told.unplaced] == ["GD109"]
