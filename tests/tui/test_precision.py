from pathlib import Path

import pytest
from graddebug_tui.widgets.detail import Detail
from textual.widgets import Static

from graddebug.trace.reader import Recording
from tests.tui.test_app import SIZES, press, running, screen_text
from tests.views.mixed import mixed
from tests.views.recordings import recorded


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return mixed(tmp_path_factory.mktemp("runs") / "run")


@pytest.mark.parametrize("size", SIZES)
async def test_scale_and_headroom_are_in_sight_at_once(recording: Recording, size: tuple[int, int]) -> None:
    """Scaler, skips, the worst module; names with brackets are shown as they are."""
    async with running(recording, size, first="precision") as pilot:
        text = screen_text(pilot)
    assert "autocast to float16 in every forward" in text
    assert "grad[red]scaler  scale 16384 now  2 of 100 steps skipped (2%), last in step 79" in text
    assert "✖ head[bold]" in text
    assert "1.1 bits" in text


async def test_the_module_under_the_cursor_is_told_in_full(recording: Recording) -> None:
    """Where its largest gradient was, and since when it is not finite."""
    async with running(recording, first="precision") as pilot:
        await press(pilot, "j")
        told = str(pilot.app.screen.query_one("#rest", Detail).query_one(Static).content)
    assert told.startswith("encoder.2  float16\n✖ NaN or inf first in step 70")
    assert "largest 147 in step 99: Addmm, train.py:11" in told


async def test_the_detail_scrolls_to_the_ops(recording: Recording) -> None:
    """On a small terminal, too."""
    async with running(recording, first="precision") as pilot:
        assert "LogSoftmax" not in screen_text(pilot)
        assert "LogSoftmax" in await press(pilot, *"JJJJJJJJ")


async def test_a_run_in_float32_says_so(tmp_path: Path) -> None:
    """No empty table where nothing was in half precision."""
    async with running(recorded(tmp_path / "run", steps=3), first="precision") as pilot:
        text = screen_text(pilot)
    assert "no autocast; all ops ran in float32; no loss scaler was used" in text
    assert "no step was measured" in text
    assert "subnormal" not in text


async def test_the_graph_screen_marks_where_nan_begins(recording: Recording) -> None:
    """Glyph and word at the nodes, the user's line and the beginning in the detail."""
    async with running(recording, first="graph", step=70) as pilot:
        text = await press(pilot, "e", *"jjjj")
    assert "✖ nan or inf" in text
    assert "sent on   nan or inf  NaN or inf begins here" in text
    assert "333  (scaled by 65536)" in text
