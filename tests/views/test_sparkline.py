import numpy as np

from graddebug.views.sparkline import axis, sparkline


def test_heights_follow_the_values() -> None:
    """The smallest value is the lowest block, the largest the highest."""
    assert sparkline(np.arange(8)) == "▁▂▃▄▅▆▇█"


def test_a_wide_range_is_drawn_on_a_log_axis() -> None:
    """Decades get equal steps, so that small gradients are not all on the floor."""
    assert sparkline(np.array([1e-4, 1e-2, 1.0])) == "▁▅█"


def test_gaps_and_infinities_are_told_apart() -> None:
    """NaN was not measured and stays blank; inf is marked."""
    assert sparkline(np.array([1.0, np.nan, np.inf, 2.0])) == "▁ !█"


def test_a_flat_series_is_drawn_at_mid_height_and_zeros_at_the_floor() -> None:
    """Constant is not the same as nothing."""
    assert sparkline(np.array([3.0, 3.0])) == "▅▅"
    assert sparkline(np.zeros(2)) == "▁▁"


def test_no_values_make_no_blocks() -> None:
    """An empty series is an empty string; an unmeasured one is blank."""
    assert sparkline(np.array([])) == ""
    assert sparkline(np.array([np.nan])) == " "


def test_a_log_axis_is_said() -> None:
    """The word stands behind the series, and as many blanks where the axis is linear."""
    assert axis(np.array([1e-4, 1e-2, np.nan, 1.0])) == " log"
    assert axis(np.array([1.0, 2.0])) == axis(np.array([np.nan])) == "    "
