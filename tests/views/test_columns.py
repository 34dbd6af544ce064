from graddebug.views.columns import Column, share_width
from graddebug.views.findings import FINDING_COLUMNS
from graddebug.views.life import LIFE_COLUMNS
from graddebug.views.line import Span, cut_front, plain

COLUMNS = (Column("name", "name", 10, grow=1), Column("a", "a", 8, rank=1), Column("b", "b", 8, rank=2))


def test_spare_width_goes_to_columns_that_grow() -> None:
    """All columns fit, and the name takes the rest."""
    assert share_width(COLUMNS, 40) == [(0, 20), (1, 8), (2, 8)]


def test_the_least_important_column_goes_first() -> None:
    """Columns fall by rank until the rest fits."""
    assert share_width(COLUMNS, 24) == [(0, 14), (1, 8)]


def test_a_column_that_must_stay_shrinks_at_last() -> None:
    """However narrow it gets, the first column is there."""
    assert share_width(COLUMNS, 6) == [(0, 6)]


def test_growth_stops_at_a_columns_most() -> None:
    """A wide terminal does not tear the table apart."""
    assert share_width((Column("a", "a", 4, grow=1, most=9),), 100) == [(0, 9)]


def test_a_cell_that_keeps_its_end_loses_its_beginning() -> None:
    """A place without its line number says nothing."""
    assert plain(cut_front((Span("a_long_name_of_a_file.py:33"),), 10)) == "…ile.py:33"
    assert [column.key for column in (*FINDING_COLUMNS, *LIFE_COLUMNS) if column.keeps_end] == [
        "where",
        "where",
    ]
