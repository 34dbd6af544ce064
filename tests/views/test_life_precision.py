from typing import Any

import pytest

from graddebug.records import (
    Amplified,
    ErrorRaised,
    Event,
    Nonfinite,
    Origin,
    ParameterSet,
    ScalerStep,
    ScalerUpdate,
    SchedulerStep,
    StepEnd,
    Unscaled,
)
from graddebug.views.life_precision import precision_words
from graddebug.views.line import plain
from tests.views.recordings import site

BORN = Origin(born="backward", op="SqrtBackward0", module="head[bold]", site=site(12))
AT: dict[str, Any] = {"step": 0, "order": 0}


def gradients(params: ParameterSet) -> str:
    return f"{len(params)} gradients"


@pytest.mark.parametrize(
    ("event", "word", "words"),
    [
        (
            Unscaled(**AT, scaler=0, optimizer=0, params=(0, 1), scale=8.0, found_inf=True, implicit=True),
            "unscaled",
            "found NaN or inf: scaler.step() divided 2 gradients by 8",
        ),
        (
            ScalerStep(**AT, scaler=0, optimizer=0, nonfinite=(0,), scale=8.0, skipped=True),
            "skipped",
            "the weights were left alone: NaN or inf in 1 gradients at scale 8",
        ),
        (ScalerUpdate(**AT, scaler=0, before=8.0, after=4.0), "scale", "8 to 4"),
        (
            ScalerUpdate(**AT, scaler=0, before=8, after=8, growth_tracker=1),
            "scale",
            "stays 8, 1 good step so far",
        ),
        (
            SchedulerStep(**AT, optimizer=0, scheduler="StepLR", lr=(0.1,)),
            "schedule",
            "StepLR stepped, lr 0.1",
        ),
        (
            ErrorRaised(**AT, call="scaler.step", error="RuntimeError", text="called twice"),
            "error",
            "scaler.step raised RuntimeError: called twice",
        ),
        (
            Nonfinite(**AT, backward=0, params=(0, 1), origins=(BORN,)),
            "nan or inf",
            "in 2 gradients, backward in Sqrt of head[bold] at train.py:12",
        ),
        (Nonfinite(**AT, backward=0), "nan or inf", "in the loss, its origin was not measured"),
        (
            Amplified(**AT, backward=0, ratio=1e5, norm_in=1.0, norm_out=1e5, origins=(BORN,)),
            "amplified",
            "gradient norm 1 became 1.0e+05, backward in Sqrt of head[bold] at train.py:12",
        ),
    ],
)
def test_events_are_put_into_words(event: Event, word: str, words: str) -> None:
    """A word for the column, a sentence beside it."""
    told = precision_words(event, gradients)
    assert told is not None
    assert (told[0], plain(told[2])) == (word, words)


@pytest.mark.parametrize("event", [StepEnd(**AT), ScalerStep(**AT, scaler=0, optimizer=0)])
def test_what_is_told_elsewhere_has_no_words(event: Event) -> None:
    """A step that was not skipped is told of by its optimizer."""
    assert precision_words(event, gradients) is None
