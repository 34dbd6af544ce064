"""The row of screens, with the one in sight marked."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Static


class Tab(Static):
    """One screen's name; a click shows it."""

    class Clicked(Message):
        """A tab was clicked."""

        def __init__(self, screen_name: str) -> None:
            super().__init__()
            self.screen_name = screen_name

    def __init__(self, key: str, name: str, *, active: bool) -> None:
        label = Content.assemble((key, "$primary"), " ", name.title())
        super().__init__(label, classes="-active" if active else "")
        self._screen_name = name

    def on_click(self) -> None:
        """Ask for this screen."""
        self.post_message(self.Clicked(self._screen_name))


class TabBar(Horizontal):
    """All screens by number and name."""

    def __init__(self, names: Sequence[str], active: str) -> None:
        super().__init__()
        self._names = names
        self._active = active

    def compose(self) -> ComposeResult:
        """One tab a screen."""
        for number, name in enumerate(self._names, start=1):
            yield Tab(str(number), name, active=name == self._active)
