from pathlib import Path

import pytest

from graddebug.records import Event, ModulesInEval, QuietForwards, StepRecord
from graddebug.trace import Recording, TraceWriter
from graddebug.views.life import Life, life
from graddebug.views.line import plain
from tests.views.recordings import INFO, PARAMETERS, recorded, statistics


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


@pytest.mark.parametrize(
    ("event", "word", "words"),
    [
        (
            QuietForwards(step=0, order=0, params=(0,), how="no_grad", steps=4),
            "quiet",
            f"no gradient for {PARAMETERS[0].name}, whose modules ran with gradients off in 4 steps",
        ),
        (
            ModulesInEval(step=0, order=0, module="net", parts=("net.body",), layers=("Dropout",)),
            "eval mode",
            "net.body in eval mode, and trained so, from here on",
        ),
        (ModulesInEval(step=0, order=0, module="net"), "eval mode", "net trains in train mode from here on"),
    ],
)
def test_what_stands_still_and_in_which_mode(tmp_path: Path, event: Event, word: str, words: str) -> None:
    """Modules that run without a gradient, and parts in eval mode."""
    writer = TraceWriter(tmp_path / "run", INFO)
    for info in PARAMETERS:
        writer.parameter(info)
    writer.event(event)
    writer.commit(StepRecord(step=0, time=0.0, duration=0.0), statistics(0))
    writer.close()
    assert _words(life(Recording.open(tmp_path / "run"), 0)) == {word: words}
