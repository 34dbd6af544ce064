"""What all screens share: masthead, tabs, a table, its detail, the footer, and the keys' targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.widget import Widget

from graddebug.errors import TraceError
from graddebug.views.printable import printable
from graddebug_tui.actions import bindings
from graddebug_tui.widgets.detail import Detail
from graddebug_tui.widgets.footing import Footing
from graddebug_tui.widgets.masthead import Masthead, Standing
from graddebug_tui.widgets.prompt import Prompt
from graddebug_tui.widgets.sheet import Sheet
from graddebug_tui.widgets.tabs import TabBar

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording
    from graddebug.views.steps import StepCursor
    from graddebug_tui.app import GraddebugApp

#: The screens, in the order of their number keys.
SCREEN_NAMES = ("findings", "parameters", "life", "graph", "precision")


class View(Screen[None]):
    """A screen over the app's recording, drawn anew whenever the step cursor moves."""

    KEY: ClassVar[str] = ""
    AUTO_FOCUS = "Sheet"

    def __init_subclass__(cls) -> None:
        """Give each screen the bindings that the action table has for it."""
        cls.BINDINGS = bindings(cls.KEY)
        super().__init_subclass__()

    @property
    def viewer(self) -> GraddebugApp:
        """The app, by its own type."""
        return cast("GraddebugApp", self.app)

    @property
    def recording(self) -> Recording:
        """The recording in view."""
        return self.viewer.recording

    @property
    def cursor(self) -> StepCursor:
        """Where all screens stand in time."""
        return self.viewer.cursor

    @property
    def sheet(self) -> Sheet:
        """The screen's table."""
        return self.query_one(Sheet)

    @property
    def detail(self) -> Detail:
        """The pane beside or below the table."""
        return self.query_one(Detail)

    def compose(self) -> ComposeResult:
        """Masthead, tabs, body, footer."""
        yield Masthead()
        yield TabBar(SCREEN_NAMES, self.KEY)
        yield Container(*self.body(), id="body")
        yield Prompt("go-to", placeholder="go to step …", kind="integer")
        yield Footing(self.KEY)

    def body(self) -> Iterator[Widget]:
        """What lies between tabs and footer."""
        raise NotImplementedError

    def draw(self) -> None:
        """Draw the step that the cursor stands on."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw all, masthead included."""
        self.query_one(Masthead).show(self._standing())
        try:
            self.draw()
        except TraceError as error:
            self.notify(printable(str(error)), title="cannot be read", severity="error", markup=False)

    def _standing(self) -> Standing:
        step = self.cursor.step
        record = None if step is None else self.recording.step(step)
        return Standing(self.viewer.summary, self.cursor, record, self.viewer.losses)

    def on_mount(self) -> None:
        """First drawing."""
        self.redraw()

    def on_screen_resume(self) -> None:
        """The cursor may have moved while another screen was in sight."""
        self.redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While something is typed, the keys that open prompts are letters."""
        if action.startswith("ask_") and isinstance(self.focused, Prompt):
            return False
        return super().check_action(action, parameters)

    def action_ask_step(self) -> None:
        """Ask for a step's number."""
        if self.cursor.steps:
            self.query_one("#go-to", Prompt).open()

    @on(Prompt.Submitted, "#go-to")
    def go_to_answered(self, message: Prompt.Submitted) -> None:
        """Go to the step that was named, if one was."""
        message.input.display = False
        self.sheet.focus()
        if message.value.isdigit():
            self.viewer.go_to(int(message.value))

    def action_rows(self, how: str) -> None:
        """Move the table's cursor."""
        self.sheet.move(how)

    def action_scroll_detail(self, lines: int) -> None:
        """Scroll the detail pane."""
        self.detail.scroll_relative(y=lines * 3, animate=False)
