"""Every number in the statistics table against the same number computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from graddebug.capture.samples import SAMPLE
from graddebug.records import OptimizerStep
from tests.capture.observing import Seen, observe


def one_step(
    weight: torch.Tensor, grad: torch.Tensor, *, lr: float = 0.5
) -> tuple[Seen, torch.Tensor, torch.Tensor]:
    """A step of SGD on one parameter whose gradient is ``grad``; weights before and after it."""
    parameter = nn.Parameter(weight.clone())
    optimizer = torch.optim.SGD([parameter], lr=lr)
    with observe(nn.ParameterList([parameter]), optimizer) as seen:
        (parameter * grad).sum().backward()
        before = parameter.detach().clone()
        optimizer.step()
    return seen, before, parameter.detach()


@pytest.mark.parametrize("size", [7, SAMPLE], ids=["tiny", "largest read whole"])
def test_numbers_of_a_tensor_read_whole(size: int) -> None:
    """Norm, largest, mean, zero share; weight norm, update ratio and changed share."""
    torch.manual_seed(0)
    grad = torch.randn(size) * (torch.arange(size) % 3 > 0)
    seen, before, after = one_step(torch.randn(size), grad)
    expected = {
        "grad_norm": grad.norm(),
        "grad_norm_written": grad.norm(),
        "grad_absmax": grad.abs().max(),
        "grad_mean": grad.mean(),
        "grad_zero_share": (grad == 0).float().mean(),
        "grad_nonfinite": torch.tensor(0.0),
        "weight_norm": before.norm(),
        "update_ratio": (after - before).norm() / before.norm(),
        "changed_share": (after != before).float().mean(),
    }
    told = {name: seen.value(name) for name in expected}
    assert told == pytest.approx({name: value.item() for name, value in expected.items()}, rel=1e-5)


def test_a_large_tensors_norms_are_whole_and_the_rest_is_sampled() -> None:
    """Every stride-th element of the flattened tensor."""
    torch.manual_seed(0)
    grad = torch.randn(50, 100)
    seen, before, after = one_step(torch.randn(50, 100), grad)
    sample = slice(None, None, math.ceil(5000 / SAMPLE))
    seen_grad, change, weights = (t.flatten()[sample] for t in (grad, after - before, before))
    assert seen.value("grad_norm") == pytest.approx(grad.norm().item(), rel=1e-5)
    assert seen.value("weight_norm") == pytest.approx(before.norm().item(), rel=1e-5)
    assert seen.value("grad_absmax") == pytest.approx(seen_grad.abs().max().item(), rel=1e-5)
    assert seen.value("grad_mean") == pytest.approx(seen_grad.mean().item(), rel=1e-4)
    assert seen.value("update_ratio") == pytest.approx((change.norm() / weights.norm()).item(), rel=1e-4)


def test_nonfinite_elements_are_counted_in_the_whole_tensor() -> None:
    """Also those that the sample does not hold."""
    grad = torch.ones(3000)
    grad[1], grad[2], grad[1999] = float("nan"), float("inf"), -float("inf")
    seen, _, _ = one_step(torch.ones(3000), grad)
    assert seen.value("grad_nonfinite") == 3


def test_an_update_lost_to_precision_shows_as_unchanged() -> None:
    """bf16 weights of 1 are not moved by 1e-3 (BUGS: update swallowed)."""
    ones = torch.ones(8, dtype=torch.bfloat16)
    seen, _, _ = one_step(ones, ones, lr=1e-3)
    assert (seen.value("changed_share"), seen.value("update_ratio")) == (0, 0)
    assert seen.value("grad_norm") == pytest.approx(8**0.5, rel=1e-2)


def test_norms_of_half_precision_do_not_overflow() -> None:
    """The norm of fp16 gradients may be larger than fp16's largest number."""
    grad = torch.full((4096,), 6e4, dtype=torch.float16)
    seen, _, _ = one_step(torch.zeros(4096, dtype=torch.float16), grad, lr=0.0)
    assert seen.value("grad_norm") == pytest.approx(6e4 * 64, rel=1e-2)


def test_a_fused_step_under_a_scaler_is_told_unscaled() -> None:
    """The kernel divides by the scale, so what it consumes is the unscaled gradient."""
    model = nn.Linear(4, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with observe(model, optimizer) as seen:
        scaler.scale(model(torch.ones(2, 4)).sum()).backward()
        scaler.step(optimizer)
    assert seen.value("grad_norm") == pytest.approx(4.0)
    assert seen.value("grad_norm_written") == pytest.approx(4096.0)
    assert seen.value("grad_scale") == 1024


def test_the_norm_before_and_after_clipping() -> None:
    """Written is what the backward left, consumed is what the step used."""
    model = nn.Linear(4, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as seen:
        model(torch.ones(2, 4)).sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert seen.value("grad_norm_written") == pytest.approx(4.0)
    assert seen.value("grad_norm") == pytest.approx(1.0, rel=1e-4)


def test_what_was_not_measured_is_nan() -> None:
    """A parameter without gradient has no numbers."""
    model = nn.ModuleDict({"a": nn.Linear(4, 1, bias=False), "b": nn.Linear(4, 1, bias=False)})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as seen:
        model["a"](torch.ones(2, 4)).sum().backward()
        optimizer.step()
    assert not math.isnan(seen.value("grad_norm", parameter=0))
    assert math.isnan(seen.value("grad_norm", parameter=1))


@pytest.mark.parametrize("kind", ["sparse", "complex", "empty", "scalar", "float64"])
def test_unusual_gradients_are_measured_all_the_same(kind: str) -> None:
    """Or left NaN, but never an error."""
    if kind == "sparse":
        model: nn.Module = nn.Embedding(5, 3, sparse=True)
        loss = model(torch.tensor([1, 1, 4])).sum()
        norm = (3 * 4 + 3) ** 0.5
    else:
        value = {
            "complex": torch.ones(2, dtype=torch.complex64),
            "empty": torch.empty(0),
            "scalar": torch.tensor(2.0),
            "float64": torch.ones(4, dtype=torch.float64),
        }[kind]
        model = nn.ParameterList([nn.Parameter(value)])
        loss = next(model.parameters()).abs().sum()
        norm = {"complex": 2**0.5, "empty": 0.0, "scalar": 1.0, "float64": 2.0}[kind]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as seen:
        loss.backward()
        optimizer.step()
    assert seen.value("grad_norm") == pytest.approx(norm)


def test_huge_gradients_are_no_nonfinite_ones() -> None:
    """The norm of finite numbers near 1e20 is beyond float32's reach; they are still finite."""
    grad = torch.full((3000,), 1e20)
    seen, _, _ = one_step(torch.ones(3000), grad, lr=0.0)
    (step,) = seen.of(OptimizerStep)
    assert step.nonfinite == ()
    assert seen.value("grad_nonfinite") == 0


def test_the_share_of_subnormal_numbers() -> None:
    """Below the dtype's smallest normal number, but not zero."""
    grad = torch.tensor([1e-5, 1e-6, 0.0, 1.0], dtype=torch.float16)
    seen, _, _ = one_step(torch.ones(4, dtype=torch.float16), grad, lr=0.0)
    assert seen.value("grad_subnormal_share") == 0.5


def test_an_unscaled_gradient_has_scale_one() -> None:
    """Nothing multiplied the loss."""
    seen, _, _ = one_step(torch.ones(3), torch.ones(3))
    assert seen.value("grad_scale") == 1
