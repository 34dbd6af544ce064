"""What was done to scaled gradients by hand, measured from their values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from graddebug.capture.edits import Edit, Edited, edit_of
from graddebug.records import Clipped, GradientsEdited
from tests.capture.observing import Seen, observe

early_clip_grad_value_ = clip_grad_value_
SCALE = 1024.0


def edited(before: list[float], after: list[float], dtype: str = "float32") -> Edited:
    kind = np.dtype(dtype)
    old, new = (np.array(v, dtype=kind).astype(np.float64) for v in (before, after))
    return Edited(old, new, float(np.linalg.norm(old)), float(np.linalg.norm(new)), dtype)


def edit(*gradients: Edited) -> Edit:
    found = edit_of(gradients)
    assert found is not None
    return found


def test_one_factor_over_several_gradients() -> None:
    """Elements that were zero or set to zero tell nothing."""
    found = edit(edited([3, 0, -6], [1, 0, -2]), edited([9, 12], [3, 0]))
    assert found.factor == pytest.approx(1 / 3)
    assert found.pinned is None


def test_half_precision_rounds() -> None:
    """The products are rounded to 11 bits, and the smallest to none."""
    before = [1000.3, 0.37, 2.0**-23, -3.3]
    found = edit(edited(before, [float(x) * 0.0123 for x in np.array(before, np.float16)], "float16"))
    assert found.factor == pytest.approx(0.0123, rel=1e-3)


def test_nothing_changed() -> None:
    """The factor is 1, also where some rows were set to zero."""
    assert edit(edited([1, 2], [1, 2]), edited([3, 4], [3, 0])).factor == 1


def test_clamped_elements_are_pinned() -> None:
    """They end at one magnitude, whatever they were."""
    found = edit(edited([5, -7, 0.5], [1, -1, 0.5]), edited([2, 3], [1, 1]))
    assert (found.factor, found.pinned) == (None, 1)


def test_one_clamped_element_is_no_proof() -> None:
    """It could have been multiplied as well."""
    found = edit(edited([5, 0.7, 0.5], [1, 0.7, 0.5]))
    assert found.pinned is None


def test_tensors_clipped_one_by_one() -> None:
    """Each by its own factor, to the same norm."""
    found = edit(edited([30, 40], [0.6, 0.8]), edited([6, 8], [0.6, 0.8]))
    assert found.factor is None
    assert found.pinned == pytest.approx(1)


def test_a_projection_is_neither() -> None:
    """Taking the mean away commutes with the scale, though no factor fits."""
    found = edit(edited([1, 2, 6], [-2, -1, 3]))
    assert (found.factor, found.pinned) == (None, None)


def test_nan_hides_it() -> None:
    """inf times a coefficient of 0 is NaN: the step will be skipped."""
    assert edit_of([edited([1, np.inf], [0, np.nan])]) is None


def scaled_cycle(change: Callable[[nn.Linear], object], *, scaled: bool = True) -> Seen:
    """A backward whose gradients are scaled, the change, and a step."""
    torch.manual_seed(0)
    model = nn.Linear(40, 60)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=SCALE, enabled=scaled)
    with observe(model, optimizer) as seen:
        scaler.scale(model(torch.randn(3, 40)).square().mean()).backward()
        change(model)
        optimizer.step()
    return seen


def grads(model: nn.Linear) -> list[torch.Tensor]:
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def by_hand(model: nn.Linear) -> None:
    norm = torch.stack([grad.norm() for grad in grads(model)]).norm()
    for grad in grads(model):
        grad.mul_(1.0 / norm)


def by_hand_through_data(model: nn.Linear) -> None:
    norm = torch.stack([grad.norm() for grad in grads(model)]).norm()
    for grad in grads(model):
        grad.data.mul_(1.0 / norm)


def assigned(model: nn.Linear) -> None:
    norm = torch.stack([grad.norm() for grad in grads(model)]).norm()
    for parameter in model.parameters():
        assert parameter.grad is not None
        parameter.grad = parameter.grad / norm


@pytest.mark.parametrize("change", [by_hand, by_hand_through_data, assigned])
def test_a_clip_by_hand_is_one_factor_with_its_norms(change: Callable[[nn.Linear], None]) -> None:
    """Also where no counter moves."""
    (event,) = scaled_cycle(change).of(GradientsEdited)
    assert event.scale == SCALE
    assert event.norm_before is not None
    assert event.factor == pytest.approx(1 / event.norm_before, rel=1e-5)
    assert event.norm_after == pytest.approx(1, rel=1e-5)


def test_a_clip_that_is_seen_is_measured_too() -> None:
    """Its factor lies on the event of its call."""
    (event,) = scaled_cycle(lambda model: clip_grad_norm_(model.parameters(), 1.0)).of(Clipped)
    assert event.factor is not None
    assert event.norm_before is not None
    assert event.norm_before == pytest.approx(event.total_norm)
    assert event.factor * event.norm_before == pytest.approx(1, rel=1e-5)


def test_the_public_name_of_the_inner_function_is_seen() -> None:
    """`clip_grads_with_norm_` has its own name in `torch.nn.utils`."""
    seen = scaled_cycle(
        lambda model: torch.nn.utils.clip_grads_with_norm_(model.parameters(), 1.0, torch.ones(()))
    )
    (event,) = seen.of(Clipped)
    assert (event.function, event.max_norm) == ("clip_grads_with_norm_", 1.0)


def test_a_clip_of_values_pins_them_though_it_was_imported_early() -> None:
    """The call is not seen, its work is."""
    seen = scaled_cycle(lambda model: early_clip_grad_value_(model.parameters(), 0.5))
    (event,) = seen.of(GradientsEdited)
    assert (event.factor, event.pinned) == (None, 0.5)


def test_two_edits_are_told_apart() -> None:
    """The second is measured against what the first left."""

    def twice(model: nn.Linear) -> None:
        for grad in grads(model):
            grad.div_(4)
        clip_grad_norm_(model.parameters(), 1.0)

    seen = scaled_cycle(twice)
    (first,), (second,) = seen.of(GradientsEdited), seen.of(Clipped)
    assert first.factor == 0.25
    assert second.norm_before == pytest.approx(first.norm_after)


def test_untouched_scaled_gradients_are_no_event() -> None:
    """The values are looked at, and are the same."""
    assert scaled_cycle(lambda _: None).of(GradientsEdited) == []


def test_gradients_without_a_scale_are_not_measured() -> None:
    """A program without a scaler pays nothing."""
    (event,) = scaled_cycle(by_hand, scaled=False).of(GradientsEdited)
    assert (event.scale, event.factor, event.norm_before) == (None, None, None)
