"""The application: a recording, one step cursor, and the screens that show them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.screen import Screen

from graddebug.views.run import losses, run_summary
from graddebug.views.steps import StepCursor, finding_steps
from graddebug_tui.screens.findings import FindingsScreen
from graddebug_tui.screens.graph import GraphScreen
from graddebug_tui.screens.help import HelpScreen
from graddebug_tui.screens.life import LifeScreen
from graddebug_tui.screens.parameters import ParametersScreen
from graddebug_tui.screens.precision import PrecisionScreen
from graddebug_tui.screens.view import SCREEN_NAMES, View
from graddebug_tui.themes import DARK, LIGHT

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording
    from graddebug_tui.widgets.tabs import Tab


class GraddebugApp(App[None]):
    """Looks at one recording; never writes into it."""

    TITLE = "graddebug"
    CSS_PATH = Path("app.tcss")
    ENABLE_COMMAND_PALETTE = False
    ESCAPE_TO_MINIMIZE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - Textual types it per instance
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "findings": FindingsScreen,
        "parameters": ParametersScreen,
        "life": LifeScreen,
        "graph": GraphScreen,
        "precision": PrecisionScreen,
    }

    def __init__(self, recording: Recording, *, first: str = "findings", step: int | None = None) -> None:
        super().__init__()
        self.recording = recording
        self.summary = run_summary(recording)
        self.losses = losses(recording)
        self.wanted_parameter: int | None = None
        self.cursor = self._start(step)
        self._first = first

    def on_mount(self) -> None:
        """Put on our colours and show the first screen."""
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = DARK.name
        self.switch_mode(self._first)

    def go_to(self, step: int) -> None:
        """Put the cursor on a step, or the nearest that was kept."""
        self._move(self.cursor.at(step))

    def learned_of_damage(self) -> bool:
        """Whether reading has shown damage that the summary did not tell of; it does from now on."""
        before, self.summary = self.summary.warning, run_summary(self.recording)
        return self.summary.warning != before

    def look_at_parameter(self, index: int) -> None:
        """Show a parameter's numbers, at the cursor's step."""
        self.wanted_parameter = index
        self.switch_mode("parameters")

    def action_show(self, name: str) -> None:
        """Show a screen."""
        self.switch_mode(name)

    def action_cycle(self, by: int) -> None:
        """Show the next screen, or the one before."""
        place = SCREEN_NAMES.index(self.current_mode)
        self.switch_mode(SCREEN_NAMES[(place + by) % len(SCREEN_NAMES)])

    def action_move_step(self, by: int) -> None:
        """Move the cursor by so many steps."""
        self._move(self.cursor.by(by))

    def action_first_step(self) -> None:
        """To the first step."""
        self._move(self.cursor.first())

    def action_last_step(self) -> None:
        """To the last step."""
        self._move(self.cursor.last())

    def action_next_finding(self) -> None:
        """To the next step in which a finding begins or was last seen."""
        self._move(self.cursor.next_of(finding_steps(self.recording.findings)))

    def action_previous_finding(self) -> None:
        """To the one before."""
        self._move(self.cursor.previous_of(finding_steps(self.recording.findings)))

    def action_help(self) -> None:
        """Show all keys."""
        self.push_screen(HelpScreen())

    def on_tab_clicked(self, message: Tab.Clicked) -> None:
        """A screen's tab was clicked."""
        self.action_show(message.screen_name)

    def _move(self, cursor: StepCursor) -> None:
        self.cursor = cursor
        if isinstance(self.screen, View):
            self.screen.redraw()

    def _start(self, step: int | None) -> StepCursor:
        """On the step asked for, else where the first finding begins, else on the last step."""
        cursor = StepCursor(self.losses[0].tolist())
        if step is not None:
            return cursor.at(step)
        marks = finding_steps(self.recording.findings)
        return cursor.at(marks[0]) if marks else cursor.last()
