"""Half-precision numbers of a measured backward, and the scale that they carry."""

from __future__ import annotations

import warnings
import weakref

import torch
from torch import nn

from graddebug.capture.half import HalfSamples
from graddebug.records import HalfMeasured
from tests.capture.observing import observe


def test_gradients_carry_the_loss_scale_and_outputs_none() -> None:
    """So that a rule can say which scale would do."""
    model = nn.Linear(4, 2)
    scaler = torch.amp.GradScaler("cpu", init_scale=512.0)
    with observe(model) as seen:
        with torch.autocast("cpu", torch.float16):
            loss = model(torch.ones(3, 4)).float().square().mean()
        scaler.scale(loss).backward()
    assert {event.what: event.scale for event in seen.of(HalfMeasured)} == {
        "gradients": 512.0,
        "outputs": None,
    }


def test_a_backward_that_builds_a_graph_is_measured_too() -> None:
    """What comes into a cast then wants a gradient itself."""
    model = nn.Linear(4, 2)
    with observe(model) as seen:
        with torch.autocast("cpu", torch.float16):
            loss = model(torch.ones(3, 4)).float().square().mean()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of create_graph, which torch warns of once
            loss.backward(create_graph=True)
    assert [event.what for event in seen.of(HalfMeasured)] == ["gradients", "outputs"]


def test_a_sample_does_not_keep_the_gradient_it_was_taken_from() -> None:
    """A view of a large gradient would hold all of it until the backward is over."""
    samples, gradient = HalfSamples(), torch.ones(1000)
    before = weakref.ref(gradient.untyped_storage())
    samples.take(0, gradient.half(), gradient, 1.0)
    del gradient
    assert before() is None
