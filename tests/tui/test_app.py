from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from graddebug_tui.app import GraddebugApp
from graddebug_tui.screens.help import HelpScreen
from graddebug_tui.widgets.detail import Detail
from graddebug_tui.widgets.sheet import Sheet
from textual import events
from textual.pilot import Pilot
from textual.widgets import Static

from graddebug.trace import format as layout
from graddebug.trace.codec import FINDING
from graddebug.trace.reader import Recording
from tests.views.recordings import findings, recorded, write

SIZES = [(80, 24), (200, 60)]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return recorded(tmp_path_factory.mktemp("runs") / "run")


@asynccontextmanager
async def running(
    recording: Recording,
    size: tuple[int, int] = (80, 24),
    *,
    first: str = "findings",
    step: int | None = None,
) -> AsyncIterator[Pilot[None]]:
    app = GraddebugApp(recording, first=first, step=step)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield pilot


def viewer(pilot: Pilot[None]) -> GraddebugApp:
    assert isinstance(pilot.app, GraddebugApp)
    return pilot.app


def screen_text(pilot: Pilot[None]) -> str:
    """All cells in sight, line by line."""
    width, height = pilot.app.size
    strips = pilot.app.screen._compositor.render_strips()
    assert len(strips) == height
    return "\n".join(strip.text[:width] for strip in strips)


async def press(pilot: Pilot[None], *keys: str) -> str:
    await pilot.press(*keys)
    for _ in range(3):  # switching screens takes a few rounds of messages
        await pilot.pause()
    return screen_text(pilot)


@pytest.mark.parametrize("size", SIZES)
async def test_the_first_screen_quotes_the_guilty_lines(recording: Recording, size: tuple[int, int]) -> None:
    """What one sees on opening is the worst finding, with its source."""
    async with running(recording, size) as pilot:
        text = screen_text(pilot)
    assert "✖ error    GD101  stale-gradient" in text
    assert "▶ 13 │     loss.backward()  ◀ backward" in text


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("1", "severity"),
        ("2", "aux[bold].weight"),
        ("3", "onto consumed ones"),
        ("4", "(whole graph)"),
        ("5", "no loss scaler was used"),
    ],
)
async def test_number_keys_show_the_screens(
    recording: Recording, size: tuple[int, int], key: str, expected: str
) -> None:
    """Each screen has its number, and data with brackets is shown as it is."""
    async with running(recording, size, step=7) as pilot:
        assert expected in await press(pilot, key)


async def test_tab_goes_round_the_screens(recording: Recording) -> None:
    """Five times Tab is back at the first; Shift+Tab goes the other way."""
    async with running(recording) as pilot:
        seen = []
        for key in ("tab", "tab", "tab", "tab", "tab", "shift+tab"):
            await press(pilot, key)
            seen.append(pilot.app.current_mode)
    assert seen == ["parameters", "life", "graph", "precision", "findings", "precision"]


@pytest.mark.parametrize(
    ("keys", "step"),
    [
        (["right_square_bracket"], 8),
        (["left_square_bracket"], 6),
        (["right_curly_bracket"], 107),
        (["left_curly_bracket"], 0),
        (["home"], 0),
        (["end"], 119),
        (["full_stop"], 119),
        (["comma"], 4),
        (["comma", "comma"], 1),
    ],
)
async def test_time_keys_move_the_cursor(recording: Recording, keys: list[str], step: int) -> None:
    """Steps, hundreds, ends and findings."""
    async with running(recording, step=7) as pilot:
        text = await press(pilot, *keys)
        assert viewer(pilot).cursor.step == step
    assert f"step {step} of 119" in text


async def test_the_cursor_is_shared_by_all_screens(recording: Recording) -> None:
    """A move on one screen is seen on the next."""
    async with running(recording, first="life", step=7) as pilot:
        await press(pilot, "right_square_bracket")
        assert "step 8 of 119" in await press(pilot, "2")


async def test_a_step_is_reached_by_its_number(recording: Recording) -> None:
    """Colon asks, Enter goes, Esc leaves everything as it was."""
    async with running(recording, step=7) as pilot:
        await press(pilot, "colon", "4", "2", "enter")
        assert viewer(pilot).cursor.step == 42
        await press(pilot, "colon", "9", "escape")
        assert viewer(pilot).cursor.step == 42


async def test_keys_typed_ahead_reach_the_prompt(recording: Recording) -> None:
    """Over a slow line, keys come in bursts: none of them is taken for another command."""
    async with running(recording, first="parameters", step=7) as pilot:
        for character in ":42":
            pilot.app.post_message(events.Key(_key(character), character))
        pilot.app.post_message(events.Key("enter", None))
        await press(pilot)
        assert (viewer(pilot).cursor.step, pilot.app.current_mode) == (42, "parameters")


def _key(character: str) -> str:
    return {":": "colon"}.get(character, character)


async def test_enter_on_a_finding_opens_its_first_step(recording: Recording) -> None:
    """The life of the step in which the finding under the cursor began."""
    async with running(recording, step=50) as pilot:
        text = await press(pilot, "j", "enter")
        assert pilot.app.current_mode == "life"
    assert "step 4 of 119" in text


@pytest.mark.parametrize(("keys", "row"), [(["j", "j"], 2), (["down", "up"], 0), (["G"], 2), (["G", "g"], 0)])
async def test_rows_move_with_arrows_and_vim_keys(recording: Recording, keys: list[str], row: int) -> None:
    """Both hands find the rows."""
    async with running(recording) as pilot:
        await press(pilot, *keys)
        assert pilot.app.screen.query_one(Sheet).cursor == row


async def test_parameters_are_filtered_while_typing_and_esc_clears(recording: Recording) -> None:
    """The filter stays in sight until it is cleared."""
    async with running(recording, first="parameters") as pilot:
        text = await press(pilot, "slash", *"bias")
        assert "3 of 7 parameters match" in text
        text = await press(pilot, "enter")
        assert "bias" in text
        assert "encoder.0.weight" not in text
        assert "encoder.0.weight" in await press(pilot, "escape")


async def test_a_filter_that_matches_nothing_says_so(recording: Recording) -> None:
    """An empty table is never left unexplained."""
    async with running(recording, first="parameters") as pilot:
        assert "0 of 7 parameters match" in await press(pilot, "slash", *"zzz", "enter")


async def test_sorting_keeps_the_parameter_under_the_cursor(recording: Recording) -> None:
    """The heading shows the order, and the row in hand is not lost."""
    async with running(recording, first="parameters") as pilot:
        text = await press(pilot, "j", "s")
        assert "parameter ↑" in text
        assert pilot.app.screen.query_one(Sheet).cursor == 1
        assert "encoder.0.bias" in str(pilot.app.screen.query_one(Detail).query_one(Static).content)
        assert "parameter ↓" in await press(pilot, "r")


async def test_a_heading_sorts_when_clicked(recording: Recording) -> None:
    """The mouse works, and is never needed."""
    async with running(recording, first="parameters", size=(200, 60)) as pilot:
        heading = screen_text(pilot).splitlines()[4]
        await pilot.click(Sheet, offset=(heading.index("weights") + 1, 0))
        await pilot.pause()
        assert "weights ↓" in screen_text(pilot)


async def test_modules_open_and_close(recording: Recording) -> None:
    """Enter opens, h closes, e opens all."""
    async with running(recording, first="graph") as pilot:
        assert "AddmmBackward0" in await press(pilot, "j", "j", "j", "enter")
        assert "AddmmBackward0" not in await press(pilot, "h")
        assert "AddmmBackward0" in await press(pilot, "e")
        assert "AddmmBackward0" not in await press(pilot, "c")


async def test_a_node_is_told_in_full(recording: Recording) -> None:
    """What it put out, what it saved, where its gradients go."""
    async with running(recording, first="graph", size=(200, 60)) as pilot:
        text = await press(pilot, "j", "j", "j", "l", "j")
    assert "mat1" in text
    assert "8.19 kB" in text
    assert "sends to  #3 " in text


async def test_a_finding_leads_to_its_first_parameter(recording: Recording) -> None:
    """One key, through a filter that hides it, to a step in which the finding holds."""
    async with running(recording, first="parameters", step=50) as pilot:
        await press(pilot, "slash", *"head", "enter", "1", "j", "p")
        assert (pilot.app.current_mode, viewer(pilot).cursor.step) == ("parameters", 4)
        text = screen_text(pilot)
    assert "▌ ▲ aux[bold].weight" in text
    assert "7 parameters" in text


async def test_an_event_leads_to_its_first_parameter(recording: Recording) -> None:
    """The parameter is selected; an event without one leaves the screen as it is."""
    async with running(recording, first="life", step=7) as pilot:
        await press(pilot, "g", "j", "p")
        assert pilot.app.current_mode == "parameters"
        assert "▌ ✖ encoder.0.weight" in screen_text(pilot)
        await press(pilot, "3", "G", "p")
        assert pilot.app.current_mode == "life"


@pytest.mark.parametrize("screen", ["findings", "life"])
async def test_the_way_to_a_parameter_is_in_the_footer(recording: Recording, screen: str) -> None:
    """Keys are found without the help."""
    async with running(recording, first=screen) as pilot:
        assert "p parameter" in screen_text(pilot).splitlines()[-1]


async def test_evidence_and_fix_are_in_sight_on_a_small_terminal(tmp_path: Path) -> None:
    """The list takes no more lines than it has rows."""
    async with running(recorded(tmp_path / "run", steps=9)) as pilot:
        rows = screen_text(pilot).splitlines()
    assert next(place for place, row in enumerate(rows) if "GD101 stale-gradient" in row) == 8
    assert any(row.lstrip().startswith("fix") for row in rows)


@pytest.mark.parametrize("screen", ["findings", "parameters", "life", "graph", "precision"])
async def test_an_empty_recording_says_why(tmp_path: Path, screen: str) -> None:
    """No tick and no empty pane where nothing was judged."""
    empty = recorded(tmp_path / "run", steps=0, found=False)
    async with running(empty, first=screen) as pilot:
        text = screen_text(pilot)
    assert "No step was recorded" in text
    assert "optimizer never stepped" in text
    assert "✔" not in text
    assert "nothing to judge" in text


async def test_what_was_not_observable_is_listed_with_the_findings(tmp_path: Path) -> None:
    """A run without findings is not called fine where it could not be seen."""
    run = recorded(tmp_path / "run", steps=3, found=False, clears=True, unseen=True)
    async with running(run, (110, 32)) as pilot:
        text = await press(pilot)
    assert "No rule objected to how gradients were written, cleared and used" in text
    assert "not observable  1 thing that no rule could judge" in text
    assert "the operations of model: it is compiled" in text


async def test_help_lists_every_action_and_closes(recording: Recording) -> None:
    """The same table makes the footer, the bindings and this list."""
    async with running(recording, size=(80, 60)) as pilot:
        text = await press(pilot, "question_mark")
        assert "open or close a module" in text
        await press(pilot, "escape")
        assert not isinstance(pilot.app.screen, HelpScreen)


@pytest.mark.parametrize("screen", ["findings", "parameters", "life", "graph", "precision"])
async def test_q_quits_every_screen_cleanly(recording: Recording, screen: str) -> None:
    """Leaving is exit code 0, wherever one is."""
    async with running(recording, first=screen) as pilot:
        await pilot.press("q")
        await pilot.pause()
    assert pilot.app.return_code == 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("screen", ["findings", "parameters", "life", "graph", "precision"])
@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"steps": 0, "found": False}, "no steps"),
        ({"steps": 1, "found": False, "graphs": False}, "1 step"),
        ({"steps": 3, "found": False, "clears": True}, "no findings"),
        ({"steps": 3, "parameters": 0, "graphs": False, "found": False}, "no findings"),
    ],
)
async def test_odd_recordings_have_a_designed_look(
    tmp_path: Path, size: tuple[int, int], screen: str, choices: dict[str, int], said: str
) -> None:
    """Empty, one-step, findings-free, parameter-free: every screen draws, and every key is safe."""
    async with running(recorded(tmp_path / "run", **choices), size, first=screen) as pilot:
        keys = ["j", "G", "g", "enter", "right_square_bracket", "full_stop", "end", "home", "pagedown"]
        text = await press(pilot, *keys)
    assert said in text or said == "1 step"


async def test_a_thousand_parameters_paint_only_what_is_in_sight(tmp_path: Path) -> None:
    """Series are read for rows on the screen, not for the table."""
    big = recorded(tmp_path / "run", steps=3, parameters=1000, found=False)
    read: list[int] = []
    overview: Callable[..., object] = big.overview

    def counted(parameter: int, statistic: str, points: int) -> object:
        read.append(parameter)
        return overview(parameter, statistic, points)

    big.overview = counted  # type: ignore[method-assign,assignment]
    async with running(big, first="parameters") as pilot:
        assert "1,000 parameters" in screen_text(pilot)
        assert "blocks.249.layer3.weight" in await press(pilot, "G")
    assert len(set(read)) < 60


async def test_names_with_control_characters_are_shown_not_sent(tmp_path: Path) -> None:
    """An escape in a title cannot reach the terminal."""
    odd = recorded(tmp_path / "run", steps=2, found=False)
    odd.parameters[0] = type(odd.parameters[0])(index=0, name="a\x1b[2Jb[red]", shape=(1,), dtype="float32")
    async with running(odd, first="parameters") as pilot:
        assert "a␛[2Jb[red]" in screen_text(pilot)


async def test_ctrl_c_quits(recording: Recording) -> None:
    """The key that stops every other program stops this one too."""
    async with running(recording) as pilot:
        await pilot.press("ctrl+c")
        await pilot.pause()
    assert pilot.app.return_code == 0


async def test_parameters_stay_in_sight_in_the_smallest_terminal(recording: Recording) -> None:
    """The detail leaves room for rows."""
    async with running(recording, (40, 12), first="parameters") as pilot:
        assert "encoder" in screen_text(pilot).splitlines()[5]


async def test_the_courses_say_what_each_number_is(recording: Recording) -> None:
    """Sampled or whole, and the range in the unit of the value."""
    async with running(recording, (200, 60), first="parameters") as pilot:
        zeros = next(row for row in screen_text(pilot).splitlines() if row.strip().startswith("zeros"))
    assert "0% … 0%" in zeros
    assert "sample: exact zeros" in zeros


async def test_an_open_recording_is_said_to_be_open_on_a_small_terminal(tmp_path: Path) -> None:
    """Where steps and state do not both fit, the state stays."""
    run = recorded(tmp_path / "run", steps=3, found=False, clears=True, close=False)
    async with running(run) as pilot:
        assert "open: still running, or killed" in screen_text(pilot).splitlines()[0]


async def test_damage_met_while_looking_is_told_at_the_top(tmp_path: Path) -> None:
    """Events are checked when read: nothing is called fine whose events cannot be."""
    folder = write(tmp_path / "run", steps=9, found=False, clears=True)
    file = folder / "rank00000" / "events-000000.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b"5", b"6", 1)
    file.write_bytes(b"".join(lines))
    async with running(Recording.open(folder), (110, 32)) as pilot:
        text = await press(pilot)
    assert "▲ the events of step 5 are damaged" in text


async def test_acknowledged_findings_fold(tmp_path: Path) -> None:
    """They are a line at the bottom, which Enter opens and closes."""
    folder = write(tmp_path / "run", steps=9, found=False)
    known = replace(findings(8)[1], acknowledged="on purpose", acknowledged_by="watch()")
    lines = [layout.checked_line(FINDING.encode(one)) for one in (known, findings(8)[2])]
    (folder / "findings.jsonl").write_bytes(b"".join(lines))
    async with running(Recording.open(folder)) as pilot:
        folded = screen_text(pilot)
        opened = await press(pilot, "down", "enter")
        shown = await press(pilot, "down")
        again = await press(pilot, "up", "enter", "p")
    assert "▸ 1 acknowledged" in folded
    assert "GD101" not in folded
    assert "▾ 1 acknowledged" in opened
    assert "Enter folds what is known." in opened
    assert "GD101" in opened
    assert "acknowledged: on purpose (watch())" in shown
    assert "GD101" not in again
