"""The one table of keys: bindings, footer and help are made from it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from textual.binding import Binding, BindingType

#: Words for keys that Textual names otherwise.
_KEY_WORDS = {
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "colon": ":",
    "full_stop": ".",
    "comma": ",",
    "question_mark": "?",
    "slash": "/",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "home": "Home",
    "end": "End",
    "enter": "Enter",
    "escape": "Esc",
    "tab": "Tab",
    "shift+tab": "Shift+Tab",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "space": "Space",
    "ctrl+c": "Ctrl+C",
}


@dataclass(frozen=True, slots=True)
class Action:
    """What a key does.

    ``keys`` are Textual's names, comma-separated; ``footer`` is its word in the footer, empty to leave
    it out; ``screen`` limits it to one screen.
    """

    group: str
    keys: str
    call: str
    help: str
    footer: str = ""
    screen: str = ""

    @property
    def opens_prompt(self) -> bool:
        """Whether the keys typed next are meant for a prompt: it must open before they are handed out."""
        return self.call.startswith("ask_")

    @property
    def shown(self) -> str:
        """The keys as a user would read them."""
        return " ".join(_KEY_WORDS.get(key, key) for key in self.keys.split(","))


ACTIONS: tuple[Action, ...] = (
    Action("Time", "left_square_bracket", "app.move_step(-1)", "one step back", "step"),
    Action("Time", "right_square_bracket", "app.move_step(1)", "one step on", "step"),
    Action("Time", "left_curly_bracket", "app.move_step(-100)", "100 steps back", "100 steps"),
    Action("Time", "right_curly_bracket", "app.move_step(100)", "100 steps on", "100 steps"),
    Action("Time", "home", "app.first_step", "first step"),
    Action("Time", "end", "app.last_step", "last step"),
    Action("Time", "colon", "ask_step", "go to a step by its number", "go to"),
    Action("Time", "comma", "app.previous_finding", "previous step with a finding", "finding"),
    Action("Time", "full_stop", "app.next_finding", "next step with a finding", "finding"),
    Action("Screens", "1", "app.show('findings')", "findings: what is wrong, and at which line", "screen"),
    Action("Screens", "2", "app.show('parameters')", "parameters: numbers of each at this step", "screen"),
    Action("Screens", "3", "app.show('life')", "life: this step's events in order", "screen"),
    Action("Screens", "4", "app.show('graph')", "graph: this step's backward, folded by module", "screen"),
    Action("Screens", "5", "app.show('precision')", "precision: loss scale, headroom, dtypes", "screen"),
    Action("Screens", "tab", "app.cycle(1)", "next screen"),
    Action("Screens", "shift+tab", "app.cycle(-1)", "previous screen"),
    Action("Rows", "up,k", "rows('up')", "one row up"),
    Action("Rows", "down,j", "rows('down')", "one row down"),
    Action("Rows", "pageup", "rows('page_up')", "one page up"),
    Action("Rows", "pagedown", "rows('page_down')", "one page down"),
    Action("Rows", "g", "rows('top')", "first row"),
    Action("Rows", "G", "rows('bottom')", "last row"),
    Action("Rows", "K", "scroll_detail(-1)", "detail up", "detail"),
    Action("Rows", "J", "scroll_detail(1)", "detail down", "detail"),
    Action("Findings", "enter", "rows('choose')", "look at the step it began in", "open step", "findings"),
    Action("Findings", "p", "to_parameter", "its first parameter's numbers", "parameter", "findings"),
    Action("Life", "p", "to_parameter", "the event's first parameter's numbers", "parameter", "life"),
    Action("Parameters", "slash", "ask_filter", "filter by text, or by * and ?", "filter", "parameters"),
    Action("Parameters", "escape", "clear_filter", "clear the filter", "", "parameters"),
    Action("Parameters", "s", "sort_next", "sort by the next column", "sort", "parameters"),
    Action("Parameters", "r", "sort_reverse", "reverse the order", "reverse", "parameters"),
    Action("Graph", "enter,space", "rows('choose')", "open or close a module", "open/close", "graph"),
    Action("Graph", "right,l", "unfold", "open, or go in", "", "graph"),
    Action("Graph", "left,h", "fold", "close, or go out", "", "graph"),
    Action("Graph", "e", "unfold_all", "open all modules", "all", "graph"),
    Action("Graph", "c", "fold_all", "close all modules", "", "graph"),
    Action("graddebug", "question_mark", "app.help", "this help", "help"),
    Action("graddebug", "q,ctrl+c", "app.quit", "quit", "quit"),
)


def bindings(screen: str) -> list[BindingType]:
    """Textual's bindings for one screen."""
    return [
        Binding(a.keys, a.call, a.help, show=False, priority=a.opens_prompt)
        for a in ACTIONS
        if a.screen in ("", screen)
    ]


def footer_words(screen: str) -> list[tuple[str, str]]:
    """(keys, word) pairs for a screen's footer, its own first; neighbours with one word share it."""
    chosen = [a for a in ACTIONS if a.footer and a.screen in ("", screen)]
    chosen.sort(key=lambda a: not a.screen)
    return [(_together(list(same)), word) for word, same in groupby(chosen, key=lambda a: a.footer)]


def _together(actions: list[Action]) -> str:
    keys = [action.shown.split(" ")[0] for action in actions]
    return " ".join(keys) if len(keys) < 3 else f"{keys[0]}-{keys[-1]}"


def groups() -> dict[str, list[Action]]:
    """All actions by group, for help."""
    found: dict[str, list[Action]] = {}
    for action in ACTIONS:
        found.setdefault(action.group, []).append(action)
    return found
