"""All keys, from the action table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from graddebug.views.line import Line, Span, Tone, strong
from graddebug_tui.actions import groups
from graddebug_tui.tones import joined


class HelpScreen(ModalScreen[None]):
    """Keys by group; any of Esc, ?, q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "close", show=False),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def compose(self) -> ComposeResult:
        """One scrolling pane."""
        with VerticalScroll() as pane:
            pane.border_title = "keys"
            pane.border_subtitle = "Esc closes"
            yield Static(joined(help_lines()), markup=False)

    def action_scroll(self, lines: int) -> None:
        """Scroll like the arrows do."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


def help_lines() -> Iterator[Line]:
    """The action table as text."""
    for place, (group, actions) in enumerate(groups().items()):
        if place:
            yield ()
        yield (strong(group),)
        for action in actions:
            yield (Span(f"  {action.shown:<13}", Tone.ACCENT), Span(action.help))
