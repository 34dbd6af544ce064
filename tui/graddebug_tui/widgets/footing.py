"""The bottom line: the keys that matter on this screen, as many as fit."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from graddebug.views.printable import cells
from graddebug_tui.actions import footer_words

#: Words that stay when the line is short.
_ALWAYS = ("help", "quit")


class Footing(Widget):
    """One line made from the action table."""

    def __init__(self, screen: str) -> None:
        super().__init__()
        self._pairs = footer_words(screen)

    def render(self) -> Content:
        """The pairs that fit."""
        return Content("  ").join(
            Content.assemble((keys, "bold $primary"), (f" {word}", "$foreground 60%"))
            for keys, word in fitting(self._pairs, self.content_size.width)
        )


def fitting(pairs: list[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """Pairs from the front while they fit into ``width`` cells; help and quit always stay."""
    left = width - sum(_width(pair) for pair in pairs if pair[1] in _ALWAYS)
    kept = []
    for pair in pairs:
        if pair[1] not in _ALWAYS:
            left -= _width(pair)
            if left < 0:
                continue
        kept.append(pair)
    return kept


def _width(pair: tuple[str, str]) -> int:
    return cells(pair[0]) + cells(pair[1]) + 3
