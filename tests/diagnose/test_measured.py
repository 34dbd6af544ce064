"""Stretches of steps with their statistics, and how the engine hands them to rules."""

from __future__ import annotations

import math

import numpy as np
import pytest

from graddebug.diagnose.engine import Engine
from graddebug.diagnose.measured import STRETCH, Measured, Stretches, Table
from graddebug.diagnose.rule import Claim, Claims, Rule
from graddebug.ledger import Ledger
from graddebug.records import STATISTICS, RunEnd, Severity, StepRecord

NAN = math.nan


def record(step: int, loss: float | None = 1.0) -> StepRecord:
    return StepRecord(step=step, time=0.0, duration=0.0, loss=loss)


def table(*norms: float) -> Table:
    filled = np.full((len(norms), len(STATISTICS)), np.nan, dtype=np.float32)
    filled[:, STATISTICS.index("grad_norm")] = norms
    return filled


def stretch(*rows: tuple[float, ...]) -> Measured:
    gathered = Stretches()
    for step, norms in enumerate(rows):
        gathered.add(record(step, loss=None), table(*norms))
    (one,) = gathered.rest()
    return one


class Listens(Rule):
    """Claims the steps of each stretch, and where the run ended."""

    code, slug, title, severity = "GD998", "listens", "Listens", Severity.NOTE
    why = fix = example = "-"

    def on_measured(self, measured: Measured, ledger: Ledger) -> Claims:
        """The steps."""
        return [
            Claim(
                step=int(measured.steps[0]),
                message=f"{len(measured.steps)}",
                fix="",
                topic=str(measured.steps),
            )
        ]

    def on_run_end(self, event: RunEnd, ledger: Ledger) -> Claims:
        """The end."""
        return [Claim(step=event.step, message="end", fix="", topic="end")]


def test_rules_hear_full_stretches_and_the_rest_before_the_end() -> None:
    """Ten steps at a time; what is left at the run's end comes first."""
    engine = Engine([], [], rules=[Listens])
    for step in range(STRETCH + 3):
        engine.measured(record(step), table(1.0))
    engine.feed(RunEnd(step=STRETCH + 3, order=0, reason="finished"))
    assert [(f.first_step, f.message) for f in engine.findings] == [(0, "10"), (10, "3"), (13, "end")]


def test_steps_that_were_not_measured_are_passed_over() -> None:
    """They fill no stretch."""
    engine = Engine([], [], rules=[Listens])
    for step in range(2 * STRETCH):
        engine.measured(record(step), table(1.0) if step % 2 else None)
    assert [(f.first_step, f.message) for f in engine.findings] == [(1, "10")]


def test_a_model_that_grows_begins_a_stretch() -> None:
    """Tables of one stretch have the same rows."""
    gathered = Stretches()
    assert gathered.add(record(0), table(1.0)) == []
    (done,) = gathered.add(record(1), table(1.0, 2.0))
    assert (done.steps.tolist(), done.table.shape[1]) == ([0], 1)


def test_nobody_listens() -> None:
    """Then statistics need not be read."""
    assert not Engine([], [], rules=[]).wants_statistics
    assert Engine([], [], rules=[Listens]).wants_statistics


def test_the_middle_leaves_out_what_was_not_measured() -> None:
    """Of each parameter on its own; the lower of two."""
    measured = stretch((1.0, 5.0, NAN), (2.0, NAN, NAN), (9.0, 7.0, NAN))
    assert measured.typical("grad_norm").tolist() == pytest.approx([2.0, 5.0, NAN], nan_ok=True)
    assert measured.losses.tolist() == pytest.approx([NAN] * 3, nan_ok=True)


def test_the_norm_of_several_gradients_together() -> None:
    """Those that a step consumed; NaN where it consumed none, inf where one is."""
    measured = stretch((3.0, 4.0), (NAN, 4.0), (NAN, NAN), (math.inf, 1.0))
    assert measured.total_norms((0, 1)).tolist() == pytest.approx([5.0, 4.0, NAN, math.inf], nan_ok=True)
    assert measured.total_norms((1,)).tolist() == pytest.approx([4.0, 4.0, NAN, 1.0], nan_ok=True)
