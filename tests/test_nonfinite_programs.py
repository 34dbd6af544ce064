"""The programs of benchmarks/nonfinite.py: each is what it says, and graddebug's answer to it is right."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import torch
from nonfinite_answers import of_graddebug
from nonfinite_programs import PROGRAMS, Program


@pytest.fixture(autouse=True)
def _its_own_random_state() -> Iterator[None]:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a std of one element, and what programs hide
        yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


def test_there_are_enough_of_them() -> None:
    """Of every kind of origin."""
    kinds = {one.born for one in PROGRAMS.values()}
    assert len(PROGRAMS) >= 30
    assert kinds == {"backward", "forward", "data", "weights", "nowhere"}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_the_number_is_bad_when_the_program_says_so(program: Program) -> None:
    """Gradients are finite up to the last step, whose gradients or loss are not."""
    trial = program.start()
    finite = []
    for number in range(program.steps):
        trial.step(number)
        gradients = [p.grad for p in trial.parameters if p.grad is not None]
        finite.append(all(bool(gradient.isfinite().all()) for gradient in gradients))
    harmless = program.born == "nowhere" or program.rules == ("GD512",)
    assert finite == [True] * (program.steps - 1) + [harmless]


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_graddebug_names_the_op_and_the_line(program: Program) -> None:
    """The rule, the autograd node and the marked line; silence where nothing is bad."""
    answer = of_graddebug(program)
    assert answer.right, f"{answer}, to blame is {program.op} at line {program.line}"
