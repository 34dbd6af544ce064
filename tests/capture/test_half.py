"""Half-precision numbers of a measured backward, and the scale that they carry."""

from __future__ import annotations

import torch
from torch import nn

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
