import pytest

from graddebug.views import figures


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0"),
        (1.9375, "1.94"),
        (0.00123, "0.00123"),
        (4.56e-9, "4.6e-09"),
        (65536.0, "65536"),
        (1e7, "1.0e+07"),
        (float("inf"), "inf"),
        (None, "·"),
    ],
)
def test_a_number_takes_at_most_eight_characters(value: float | None, written: str) -> None:
    """Columns of numbers stay narrow over all magnitudes."""
    assert figures.number(value) == written
    assert len(written) <= 8


def test_a_share_never_rounds_to_none_or_all() -> None:
    """One changed weight in a million is not 0 %."""
    assert figures.share(1e-6) == "<0.1%"
    assert figures.share(1 - 1e-6) == ">99.9%"
    assert figures.share(1.0) == "100%"


def test_sizes_durations_and_shapes_read_as_people_write_them() -> None:
    """Units are chosen by magnitude."""
    assert figures.size(24_576) == "24.6 kB"
    assert figures.seconds(0.0142) == "14.2 ms"
    assert figures.seconds(200) == "3 min 20 s"
    assert figures.shape(()) == "scalar"


def test_a_count_agrees_with_its_word() -> None:
    """One gradient, two gradients."""
    assert figures.several(1, "gradient") == "1 gradient"
    assert figures.several(1200, "gradient") == "1,200 gradients"
