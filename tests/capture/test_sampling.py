"""In which steps samples are taken."""

from __future__ import annotations

import numpy as np
import pytest

from graddebug.capture.readback import Numbers
from graddebug.capture.sampling import AT_LEAST, FIRST, UNUSUAL, Sampling


def norms(*values: float) -> Numbers:
    """Numbers that are here already."""
    numbers = Numbers(len(values))
    numbers.values = np.array(values)
    return numbers


@pytest.fixture
def costly(monkeypatch: pytest.MonkeyPatch) -> Sampling:
    """As if all the time watched had been spent on samples."""
    monkeypatch.setattr("graddebug.capture.sampling.SHARE", -1.0)
    return Sampling()


def sampled(sampling: Sampling, steps: int) -> list[bool]:
    """Whether each of some steps is sampled."""
    seen = []
    for _ in range(steps):
        seen.append(sampling.due)
        sampling.step_over()
    return seen


def test_the_first_steps_are_sampled_whatever_it_costs(costly: Sampling) -> None:
    """A short run has all its numbers."""
    assert all(sampled(costly, FIRST))


def test_a_stretch_of_rules_has_at_least_one_sample(costly: Sampling) -> None:
    """Also where sampling costs more than its share."""
    sampled(costly, FIRST)
    assert sampled(costly, 3 * AT_LEAST).count(True) == 3
    assert AT_LEAST <= 10


def test_what_costs_little_is_done_in_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long steps have all their numbers."""
    monkeypatch.setattr("graddebug.capture.sampling.SHARE", 1e9)
    assert all(sampled(Sampling(), FIRST + 50))


def test_a_step_that_stands_out_is_sampled(costly: Sampling) -> None:
    """It is the one that is asked about later; other optimizers have other norms."""
    costly.wants([0], norms(1.0))
    costly.wants([5], norms(100.0))
    sampled(costly, FIRST)
    assert not costly.wants([0], norms(2.0))
    assert costly.wants([0], norms(3 * UNUSUAL))
    assert not costly.wants([5], norms(150.0))
