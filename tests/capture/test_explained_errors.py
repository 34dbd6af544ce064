"""Torch's own errors reach the program as they are, with a note that explains them."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

import graddebug
from graddebug.records import ErrorRaised
from tests.capture.observing import observe
from tests.older_torch import needs_saved

MODES: tuple[Literal["warn", "raise", "silent"], ...] = ("warn", "raise", "silent")


def scaled_twice() -> None:
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(model(torch.ones(2, 4)).sum()).backward()
    scaler.unscale_(optimizer)
    scaler.unscale_(optimizer)


def plain_error() -> RuntimeError:
    with pytest.raises(RuntimeError) as raised:
        scaled_twice()
    return raised.value


@pytest.mark.parametrize("mode", MODES)
def test_the_error_stays_and_a_note_is_added(
    mode: Literal["warn", "raise", "silent"], capsys: pytest.CaptureFixture[str]
) -> None:
    """Type, arguments and text are torch's; the finding is not printed besides."""
    expected = plain_error()
    with pytest.raises(RuntimeError) as raised, graddebug.watch(on_finding=mode):
        scaled_twice()
    error = raised.value
    assert (type(error), error.args, str(error)) == (type(expected), expected.args, str(expected))
    (note,) = error.__notes__
    assert "GD404" in note
    assert "GD404" not in capsys.readouterr().err


def test_an_error_is_told_once() -> None:
    """Also where ``step`` fails inside of its own ``unscale_``, which names the half parameters."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1).half())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    with observe(model, optimizer) as seen:
        hidden = model[0](torch.ones(2, 4))
        scaler.scale(model[1](hidden.half()).sum()).backward()
        with pytest.raises(ValueError, match="FP16"):
            scaler.step(optimizer)
    (event,) = seen.of(ErrorRaised)
    assert event.call == "scaler.step"
    assert seen.names(event.params) == ["1.weight", "1.bias"]


def test_an_optimizer_first_seen_in_the_error_is_read() -> None:
    """No backward has reached anything of it, which is why torch raises."""
    model, other = nn.Linear(4, 1), nn.Linear(4, 1)
    first, second = (torch.optim.SGD(one.parameters(), lr=0.1) for one in (model, other))
    scaler = torch.amp.GradScaler("cpu")
    with observe() as seen:
        scaler.scale(model(torch.ones(2, 4)).sum()).backward()
        with pytest.raises(AssertionError, match="No inf checks"):
            scaler.step(second)
        scaler.step(first)
    assert len(seen.of(ErrorRaised)[0].params) == 2


def test_an_error_of_the_program_is_not_explained() -> None:
    """Only what the scaler itself raises is."""

    class Broken(torch.optim.SGD):
        def step(self, closure: object = None) -> None:  # type: ignore[override]
            raise RuntimeError("mine")

    model = nn.Linear(4, 1)
    optimizer = Broken(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    with observe(model, optimizer) as seen:
        scaler.scale(model(torch.ones(2, 4)).sum()).backward()
        with pytest.raises(RuntimeError, match="mine"):
            scaler.step(optimizer)
    assert seen.of(ErrorRaised) == []


@needs_saved
def test_a_weight_changed_between_forward_and_backward() -> None:
    """The parameter, the op that kept it and its module."""
    last = nn.Linear(4, 1)
    model = nn.Sequential(nn.Linear(4, 4), last)
    with observe(model) as seen:
        loss = model(torch.ones(2, 4)).sum()
        with torch.no_grad():
            last.weight.add_(1.0)
        with pytest.raises(RuntimeError, match="inplace operation") as raised:
            loss.backward()
    (event,) = seen.of(ErrorRaised)
    assert seen.names(event.params) == ["1.weight"]
    assert (event.op, event.module) == ("AddmmBackward0", "1")
    assert raised.value.__notes__ == ["explained: backward"]


@needs_saved
def test_an_activation_changed_in_place_is_no_parameter() -> None:
    """The op is told, and no parameter."""
    model = nn.Linear(4, 4)
    with observe(model) as seen:
        hidden = model(torch.ones(2, 4)).exp()
        loss = hidden.sum()
        hidden.detach().mul_(2.0)
        with pytest.raises(RuntimeError, match="inplace operation"):
            loss.backward()
    (event,) = seen.of(ErrorRaised)
    assert (event.params, event.op) == ((), "ExpBackward0")
