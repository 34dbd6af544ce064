import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from graddebug.graph import BackwardGraph, GraphNode
from graddebug.records import Event, ScalerSeen, ScalerStep, ScalerUpdate
from graddebug.report.show_precision import precision_json, render_precision
from graddebug.trace.reader import Recording
from graddebug.views.census import census, census_lines
from graddebug.views.figures import TIMES
from graddebug.views.half import bits_word, headroom_bits
from graddebug.views.headroom import headroom
from graddebug.views.line import Tone, plain
from graddebug.views.precision import census_at, headline, precision
from graddebug.views.printable import cells
from graddebug.views.scaling import ScalersSeen, ScalerStory, scale_alone, scaler_lines
from tests.views.mixed import BAD_STEP, MODULES, mixed, mixed_graph
from tests.views.recordings import recorded


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return mixed(tmp_path_factory.mktemp("runs") / "run")


def story_of(*events: Event) -> ScalerStory:
    seen = ScalersSeen()
    for event in events:
        seen.feed(event)
    return seen.stories()[0]


def step_of(step: int, *, skipped: bool = False, optimizer: int = 0, scaler: int = 0) -> ScalerStep:
    return ScalerStep(step=step, order=step, scaler=scaler, optimizer=optimizer, scale=8.0, skipped=skipped)


# --- loss scale -----------------------------------------------------------------------------


def test_skips_are_counted_and_their_longest_row_found() -> None:
    """Steps 2, 3 and 5 of six."""
    story = story_of(*(step_of(step, skipped=step in (2, 3, 5)) for step in range(6)))
    assert (story.skips, story.longest, story.skipped_steps) == (3, 2, [2, 3, 5])
    assert "3 of 6 steps skipped (50%), at most 2 in a row, last in step 5" in plain(
        next(scaler_lines(story, width=80))
    )


def test_a_row_of_skips_is_one_optimizers() -> None:
    """Another optimizer's good step in between does not end it."""
    events = [step_of(step, optimizer=which, skipped=not which) for step in range(3) for which in (0, 1)]
    assert story_of(*events).longest == 3


def test_several_scalers_have_a_story_each() -> None:
    """By their index, with their own name where one is known."""
    seen = ScalersSeen()
    seen.feed(ScalerSeen(step=0, order=0, scaler=1, name="for_d", scale=4.0))
    seen.feed(step_of(0))
    seen.feed(step_of(0, scaler=1, skipped=True))
    assert [(story.name, story.skips) for story in seen.stories()] == [("scaler 0", 0), ("for_d", 1)]


def test_the_scale_now_is_that_after_the_last_update() -> None:
    """A scale that the program set itself is told of."""
    update = ScalerUpdate(step=0, order=1, scaler=0, before=8.0, after=2.0, given=True)
    story = story_of(step_of(0), update)
    assert story.now == 2.0
    assert "scale set by the program 1 time" in plain(next(scaler_lines(story, width=80)))


@pytest.mark.parametrize(
    ("enabled", "said"),
    [(True, "scale 8, never stepped"), (False, "disabled: it scales nothing and skips nothing")],
)
def test_a_scaler_that_never_stepped_has_words(enabled: bool, said: str) -> None:
    """No course is drawn of nothing."""
    story = story_of(ScalerSeen(step=0, order=0, scaler=0, name="s", enabled=enabled, scale=8.0))
    (state,) = scaler_lines(story, width=80)
    assert said in plain(state)


def test_skips_are_marked_below_the_scale(recording: Recording) -> None:
    """At the places of their steps."""
    (story,) = precision(recording).scalers
    _, scale, skips = map(plain, scaler_lines(story, width=200))
    assert scale.endswith("65536 … 16384")
    marks = [place for place, sign in enumerate(skips) if sign == TIMES]
    assert [round((place - 7) * 100 / 80) for place in marks] == pytest.approx([39, 79], abs=2)
    assert skips.endswith("steps 39, 79")


def test_only_the_last_of_many_skips_are_listed() -> None:
    """As many as have room beside their marks."""
    story = story_of(*(step_of(step, skipped=True) for step in range(1000, 1100)))
    _, _, skips = map(plain, scaler_lines(story, width=80))
    assert skips.endswith("  last 1096, 1097, 1098, 1099")
    assert cells(skips) <= 80


def test_a_scale_without_events_is_taken_from_the_steps(tmp_path: Path) -> None:
    """A recording whose events are gone, or that has none of a scaler."""
    assert scale_alone(recorded(tmp_path / "plain", steps=2)) == ()
    (story,) = scale_alone(mixed(tmp_path / "run", steps=42))
    assert (story.scales[0], story.now, story.skipped) == (65536.0, 32768.0, None)
    assert "was not recorded" in plain(next(scaler_lines(story, width=80)))


# --- headroom -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("absmax", "dtype", "bits"),
    [(65504, "float16", 0), (16376, "float16", 2), (0, "float16", math.inf), (math.inf, "float16", -1)],
)
def test_headroom_is_in_bits(absmax: float, dtype: str, bits: float) -> None:
    """Powers of two below the maximum."""
    assert headroom_bits(absmax, dtype) == pytest.approx(bits)


def test_headroom_of_other_types_is_not_known() -> None:
    """They are not measured."""
    assert math.isnan(headroom_bits(1.0, "float32"))
    assert (bits_word(-1).text, bits_word(1.5).tone, bits_word(9).tone) == (
        "overflow",
        Tone.WARNING,
        Tone.PLAIN,
    )


def test_the_worst_module_comes_first(recording: Recording) -> None:
    """Those that sent NaN on, then by the fewer of both headrooms."""
    found = headroom(recording)
    assert [row.bad for row in found.rows[:4]] == [BAD_STEP] * 4
    worst = next(row for row in found.rows if row.module == MODULES[1])
    assert worst.outputs.value == pytest.approx(math.log2(65504 / (4 + 300 * 99)), abs=0.01)
    assert worst.outputs.step == 99
    assert (worst.op, worst.gradients.step) == ("Addmm", 99)
    assert all(row.dtype == "float16" for row in found.rows)


def test_gradients_of_skipped_steps_are_left_out(tmp_path: Path) -> None:
    """An overflow while a scaler looks for its scale is no news; what was skipped is counted."""
    run = mixed(tmp_path / "run", steps=BAD_STEP + 1)
    found = headroom(run, skipped={BAD_STEP})
    assert [row.bad for row in found.rows] == [None] * len(found.rows)
    assert (found.node_steps, found.left_out) == (BAD_STEP, 1)
    assert precision(run).headroom.left_out == 1  # step 39


def test_a_damaged_table_is_counted(tmp_path: Path) -> None:
    """The others are shown."""
    run = mixed(tmp_path / "run", steps=5)
    path = run.folder / "rank00000" / "modules.bin"
    path.write_bytes(b"\1" + path.read_bytes()[1:])
    found = headroom(run)
    assert found.unreadable == 1
    assert found.rows
    assert "1 table cannot be read" in render_precision(run, step=None, width=100)


# --- ops ------------------------------------------------------------------------------------


def test_ops_are_counted_by_dtype_and_casts_apart() -> None:
    """Parameters are no ops."""
    told = census(mixed_graph())
    assert told.dtypes == (("float16", 5), ("float32", 2))
    assert told.ops[0] == ("Addmm", (("float16", 3),))
    assert told.casts == (("float32", "float32", 3),)


def test_a_cast_names_both_dtypes() -> None:
    """From what its child put out to what it did."""
    nodes = (
        GraphNode(index=0, op="ToCopyBackward0", dtypes=("torch.float16",), next=((1, 0),)),
        GraphNode(index=1, op="AccumulateGrad", dtypes=("torch.float32",), parameter=0),
    )
    told = census(BackwardGraph("00", nodes))
    assert told.casts == (("float32", "float16", 1),)
    assert plain(list(census_lines(told))[-1]) == f"  casts  float32 to float16 {TIMES}1"


def test_damaged_dtypes_are_unknown() -> None:
    """A node without, or an edge to an output that is not there."""
    nodes = (
        GraphNode(index=0, op="ToCopyBackward0", dtypes=("float16",), next=((1, 7),)),
        GraphNode(index=1, op="AddBackward0"),
    )
    told = census(BackwardGraph("00", nodes))
    assert (told.casts, told.dtypes) == ((("unknown", "float16", 1),), (("unknown", 1),))


# --- the whole ------------------------------------------------------------------------------


def test_the_headline_of_a_run_in_float32(tmp_path: Path) -> None:
    """What was not used is said."""
    run = recorded(tmp_path / "run", steps=2)
    said = plain(headline(precision(run), census_at(run, 1)))
    assert said == "no autocast; all ops ran in float32; no loss scaler was used"


def test_the_headline_of_a_mixed_run(recording: Recording) -> None:
    """The dtype of autocast, and how many ops ran in which."""
    said = plain(headline(precision(recording), census_at(recording, 99)))
    assert said == "autocast to float16 in every forward; ops ran in float16 (5), float32 (2)"


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("make", [mixed, recorded])
def test_the_text_fits(tmp_path: Path, width: int, make: Callable[..., Recording]) -> None:
    """It fits the terminal, or the log it goes to."""
    text = render_precision(make(tmp_path / "run", steps=80), step=None, width=width)
    assert max(map(cells, text.splitlines())) <= width


def test_an_empty_recording_has_words(tmp_path: Path) -> None:
    """No step, no number, no traceback."""
    run = recorded(tmp_path / "run", steps=0, found=False)
    text = render_precision(run, step=None, width=80)
    assert "no loss scaler was used" in text
    assert "no step was measured" in text
    assert precision_json(run, step=None)["ops"] is None


def test_the_json_is_plain(recording: Recording) -> None:
    """Strict JSON, with what the text says."""
    told = json.loads(json.dumps(precision_json(recording, step=5), allow_nan=False))
    assert (told["step"], told["autocast"]) == (5, {"float16": 100})
    assert (told["scalers"][0]["skipped"], told["scalers"][0]["scale"]) == ([39, 79], 16384.0)
    assert told["headroom"]["modules"][0]["nonfinite_step"] == BAD_STEP
    assert told["ops"]["dtypes"] == {"float16": 5, "float32": 2}


def test_half_measured_is_told_at_its_worst(recording: Recording) -> None:
    """The first of equals, with place and loss scale."""
    (story,) = precision(recording).half
    louder = dataclasses.replace(story.last, step=500, absmax=6e4, subnormal_share=0.5)
    told = story.with_next(louder).with_next(dataclasses.replace(story.last, step=501, absmax=np.inf))
    assert (told.largest.step, told.most_subnormal.step, told.most_flushed.step) == (500, 500, 0)
    text = render_precision(recording, step=None, width=100)
    assert "gradients in float16  largest 30000 (scaled by 65536), 1.1 bits below the maximum" in text
    assert "in step 0: AddmmBackward0 in head[bold], train.py:11" in text
