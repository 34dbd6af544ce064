"""A line to type into: a step's number, or a filter."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual.binding import Binding, BindingType
from textual.widgets import Input


class Prompt(Input):
    """An input that Esc leaves with an empty answer; not in sight until it is opened."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "leave", show=False)]

    def __init__(self, name: str, *, placeholder: str, kind: Literal["integer", "text"] = "text") -> None:
        super().__init__(id=name, placeholder=placeholder, type=kind, validate_on=[])
        self.display = False

    def open(self, value: str = "") -> None:
        """Come into sight and take the keys at once: those already typed are meant for it."""
        self.display = True
        self.value = value
        self.screen.set_focus(self)

    def action_leave(self) -> None:
        """Give the keys back without an answer."""
        self.post_message(self.Submitted(self, ""))
