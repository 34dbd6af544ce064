from graddebug.views.columns import Column, share_width

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
