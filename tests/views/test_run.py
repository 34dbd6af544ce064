from pathlib import Path

import numpy as np
import pytest

from graddebug.views.line import plain
from graddebug.views.run import losses, mean_stretches, run_summary, step_words
from tests.views.recordings import recorded


@pytest.mark.parametrize(("steps", "said"), [(0, "no steps"), (1, "1 step (0)"), (5, "5 steps (0 to 4)")])
def test_the_number_of_steps_is_said_in_words(tmp_path: Path, steps: int, said: str) -> None:
    """Empty and one-step recordings read as naturally as long ones."""
    assert run_summary(recorded(tmp_path / "run", steps=steps, found=False)).steps == said


def test_a_recording_that_was_not_closed_says_so(tmp_path: Path) -> None:
    """A killed run looks like a running one from outside, and both are named."""
    assert run_summary(recorded(tmp_path / "a", steps=2)).state.text == "finished"
    open_run = run_summary(recorded(tmp_path / "b", steps=2, close=False))
    assert open_run.state.text == "open: still running, or killed"


def test_the_run_is_named_by_its_command(tmp_path: Path) -> None:
    """Without a title, what was run names it."""
    assert run_summary(recorded(tmp_path / "run", steps=1)).title == "train.py --epochs 3"


def test_a_step_is_put_into_words(tmp_path: Path) -> None:
    """Number, range, loss, and time taken."""
    recording = recorded(tmp_path / "run", steps=3)
    assert plain(step_words(recording.step(1), 2)) == "step 1 of 2  loss 2.46  14.2 ms"


def test_a_long_loss_is_averaged_over_equal_stretches() -> None:
    """As many points as there is room for; gaps do not spread."""
    steps, means = mean_stretches(np.arange(6), np.array([1.0, 3.0, np.nan, 5.0, np.nan, np.nan]), points=3)
    assert steps.tolist() == [0, 2, 4]
    np.testing.assert_array_equal(means, [2.0, 5.0, np.nan])


def test_a_loss_that_was_nan_is_told_from_one_not_seen(tmp_path: Path) -> None:
    """It is inf in the course, which a sparkline marks."""
    steps, values = losses(recorded(tmp_path / "run", steps=6, bad_step=3, found=False))
    assert steps.tolist() == list(range(6))
    assert np.flatnonzero(np.isinf(values)).tolist() == [3]
    assert not np.isnan(values).any()
