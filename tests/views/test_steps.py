import pytest
from hypothesis import given
from hypothesis import strategies as st

from graddebug.views.steps import StepCursor, finding_steps
from tests.views.recordings import findings

KEPT = [0, 1, 2, 10, 20]


@pytest.mark.parametrize(("asked", "reached"), [(1, 1), (5, 2), (7, 10), (99, 20), (-3, 0)])
def test_a_dropped_step_leads_to_the_nearest_kept_one(asked: int, reached: int) -> None:
    """A recording that kept every k-th step still answers every number."""
    assert StepCursor(KEPT).at(asked).step == reached


@given(st.lists(st.integers(0, 99), unique=True, max_size=20).map(sorted), st.lists(st.integers(-200, 200)))
def test_no_move_leaves_the_recording(steps: list[int], moves: list[int]) -> None:
    """Whatever is pressed, the cursor stands on a committed step, or on none if there is none."""
    cursor = StepCursor(steps)
    for move in moves:
        cursor = cursor.by(move)
        assert cursor.step in steps if steps else cursor.step is None


def test_findings_are_visited_in_order_and_the_last_one_holds() -> None:
    """Next goes on to where a finding begins or was last seen; past the last it stays."""
    marks = finding_steps(findings(9))
    cursor = StepCursor(range(10))
    seen = []
    for _ in range(4):
        cursor = cursor.next_of(marks)
        seen.append(cursor.step)
    assert seen == [1, 4, 9, 9]
    assert cursor.previous_of(marks).step == 4
