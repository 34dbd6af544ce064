"""Mixed precision is the same to the last bit with every node measured at every step."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import graddebug
from tests.capture.small import unseen
from tests.capture.test_bit_equal import MODELS, tensors_of

#: Large enough to overflow float16 in the first steps: skipped steps are compared, too.
FIRST_SCALE = 2.0**24


def trained(model: nn.Module, dtype: torch.dtype, *, fused: bool, out: Path | None) -> list[torch.Tensor]:
    """Losses, gradients, weights, buffers, moments, the scaler's state and the random state after ten steps."""
    torch.manual_seed(7)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=fused)
    scaler = torch.amp.GradScaler(
        "cpu", init_scale=FIRST_SCALE, growth_interval=3, enabled=dtype == torch.float16
    )
    losses: list[torch.Tensor] = []

    def loop() -> None:
        for _ in range(10):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype):
                loss: Any = F.cross_entropy(model(torch.randn(6, 192)), torch.randint(5, (6,)))
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            losses.append(loss.detach().clone())

    if out is None:
        loop()
    else:
        with graddebug.watch(model, optimizer, scaler, out=out, nodes="always", on_finding="silent") as run:
            loop()
        assert run.steps == 10
        assert unseen(run) == []
    scale = torch.tensor([float(number) for number in scaler.state_dict().values()])
    state = [model.state_dict(), optimizer.state_dict(), scale]
    gradients = [parameter.grad for parameter in model.parameters()]
    return [*tensors_of([losses, gradients, state]), torch.get_rng_state()]


def same(expected: torch.Tensor, seen: torch.Tensor) -> bool:
    """Equal in every element; gradients of a skipped step hold NaN, which equals itself here."""
    return torch.equal(expected, seen) or torch.allclose(expected, seen, rtol=0, atol=0, equal_nan=True)


@pytest.fixture(autouse=True)
def _torch_own_kernels() -> Iterator[None]:
    """oneDNN has no LSTM in float16 on every processor; torch's own kernels have."""
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    yield
    torch._C._set_mkldnn_enabled(before)


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["fp16", "bf16"])
@pytest.mark.parametrize("model", MODELS)
def test_measured_mixed_precision_is_bit_equal(
    model: str, dtype: torch.dtype, fused: bool, tmp_path: Path
) -> None:
    """Every loss, gradient, weight, buffer and moment, the scale and the random state."""
    torch.manual_seed(0)
    plain = MODELS[model]()
    watched = copy.deepcopy(plain)
    expected = trained(plain, dtype, fused=fused, out=None)
    seen = trained(watched, dtype, fused=fused, out=tmp_path / "run")
    assert len(expected) == len(seen)
    assert all(same(a, b) for a, b in zip(expected, seen, strict=True))


def test_the_first_steps_overflow() -> None:
    """The comparison covers steps that the scaler skips."""
    torch.manual_seed(0)
    scale = trained(MODELS["mlp"](), torch.float16, fused=False, out=None)[-2]
    assert scale[0] < FIRST_SCALE
