"""Columns of a table, and how they share a width: the same in the text twin and in the terminal UI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """``width`` is what it needs; ``grow`` its share of what is left.

    Where the table is too narrow, columns go by falling ``rank``; rank 0 always stays. Where a cell is
    too narrow, ``keeps_end`` cuts the text's beginning: a place without its line number says nothing.
    """

    key: str
    title: str
    width: int
    right: bool = False
    grow: int = 0
    rank: int = 0
    most: int = 1000
    keeps_end: bool = False


def share_width(columns: Sequence[Column], width: int, *, gap: int = 2) -> list[tuple[int, int]]:
    """(column's place, width) of those that fit into ``width`` cells with ``gap`` between them."""
    kept = list(range(len(columns)))
    while len(kept) > 1 and _needed(columns, kept, gap) > width:
        worst = max(kept, key=lambda place: (columns[place].rank, place))
        if columns[worst].rank == 0:
            break
        kept.remove(worst)
    return _grown(columns, kept, width - _needed(columns, kept, gap))


def _needed(columns: Sequence[Column], kept: Sequence[int], gap: int) -> int:
    return sum(columns[place].width for place in kept) + gap * (len(kept) - 1)


def _grown(columns: Sequence[Column], kept: Sequence[int], spare: int) -> list[tuple[int, int]]:
    widths = {place: columns[place].width for place in kept}
    growing = [place for place in kept if columns[place].grow]
    if growing and spare < 0:
        widths[growing[0]] = max(4, widths[growing[0]] + spare)
    while spare > 0 and growing:
        spare = _hand_out(columns, widths, growing, spare)
        growing = [place for place in growing if widths[place] < columns[place].most]
    return sorted(widths.items())


def _hand_out(columns: Sequence[Column], widths: dict[int, int], growing: Sequence[int], spare: int) -> int:
    total = sum(columns[place].grow for place in growing)
    left = spare
    for place in growing:
        room = columns[place].most - widths[place]
        given = min(room, max(1, spare * columns[place].grow // total), left)
        widths[place] += given
        left -= given
    return left
