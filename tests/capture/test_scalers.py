"""Loss scalers and schedulers: what they scale, unscale, skip and move, at which line."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from graddebug.ledger.scaling import is_scaled
from graddebug.records import (
    Backward,
    GradientsEdited,
    OptimizerStep,
    ScalerSeen,
    ScalerStep,
    ScalerUpdate,
    SchedulerStep,
    StepEnd,
    Unscaled,
)
from tests.capture.observing import Seen, observe
from tests.older_torch import needs_saved

GradScaler = torch.amp.GradScaler
Parts = tuple[nn.Linear, torch.optim.Optimizer, GradScaler]


def parts(*, fused: bool = False, scale: float = 1024.0, **options: Any) -> Parts:
    model = nn.Linear(4, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=fused)
    return model, optimizer, GradScaler("cpu", init_scale=scale, **options)


def loss_of(model: nn.Module, factor: float = 1.0) -> torch.Tensor:
    total: torch.Tensor = model(torch.ones(2, 4)).sum() * factor
    return total


def amp_step(model: nn.Module, optimizer: torch.optim.Optimizer, scaler: GradScaler, x: float = 1.0) -> None:
    optimizer.zero_grad()
    scaler.scale(loss_of(model, x)).backward()
    scaler.step(optimizer)
    scaler.update()


def kinds(seen: Seen) -> list[str]:
    told = (ScalerSeen, Backward, Unscaled, OptimizerStep, ScalerStep, ScalerUpdate, SchedulerStep)
    return [event.kind for event in sorted(seen.events, key=lambda e: e.order) if isinstance(event, told)]


def test_an_ordinary_step() -> None:
    """Scale, backward, unscale inside of step, step, update: each is told once, in order."""
    model, optimizer, scaler = parts()
    with observe(model, optimizer) as seen:
        amp_step(model, optimizer, scaler)
    assert kinds(seen) == ["scaler", "backward", "unscaled", "step", "scaler_step", "scaler_update"]
    (backward,) = seen.of(Backward)
    assert (backward.scalers, backward.scale) == ((0,), 1024.0)
    (unscaled,) = seen.of(Unscaled)
    assert (unscaled.implicit, unscaled.scale, unscaled.params) == (True, 1024.0, (0,))
    (step,) = seen.of(OptimizerStep)
    assert (step.scaler, step.grad_scale) == (0, 1.0)
    (scaler_step,) = seen.of(ScalerStep)
    assert (scaler_step.skipped, scaler_step.optimizer_step) == (False, step.order)
    (update,) = seen.of(ScalerUpdate)
    assert (update.before, update.after, update.growth_tracker) == (1024.0, 1024.0, 1)


def test_the_scaler_is_told_of_with_its_settings() -> None:
    """Its name is the user's variable."""
    model, optimizer, scaler = parts(growth_interval=7)
    with observe(model, optimizer) as seen:
        amp_step(model, optimizer, scaler)
        scaler.scale(loss_of(model))
    (event,) = seen.of(ScalerSeen)
    assert (event.name, event.enabled, event.scale, event.growth_interval) == ("scaler", True, 1024.0, 7)


def test_unscaling_by_the_program_is_no_edit() -> None:
    """What ``unscale_`` changes is its own doing; the step finds the true norm."""
    model, optimizer, scaler = parts()
    with observe(model, optimizer) as seen:
        scaler.scale(loss_of(model)).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
    (unscaled,) = seen.of(Unscaled)
    assert unscaled.implicit is False
    assert unscaled.site is not None
    assert unscaled.site.source == "scaler.unscale_(optimizer)"
    assert seen.of(GradientsEdited) == []
    assert seen.value("grad_norm") == pytest.approx(4.0)
    assert seen.value("grad_norm_written") == pytest.approx(4096.0)


@pytest.mark.parametrize("fused", [False, True], ids=["unfused", "fused"])
def test_a_skipped_step(fused: bool) -> None:
    """The step is over all the same; the culprits are named."""
    model, optimizer, scaler = parts(fused=fused)
    with observe(model, optimizer) as seen:
        for factor in (float("inf"), 1.0):
            amp_step(model, optimizer, scaler, factor)
    first, second = seen.of(ScalerStep)
    assert (first.skipped, first.nonfinite, second.skipped) == (True, (0,), False)
    assert [update.after for update in seen.of(ScalerUpdate)] == [512.0, 512.0]
    assert [record.scale for record in seen.steps] == [1024.0, 512.0]
    assert [event.step for event in seen.of(ScalerUpdate)] == [0, 1]
    assert len(seen.of(StepEnd)) == 2


def test_a_fused_step_carries_the_scale() -> None:
    """The kernel divides; what it leaves behind is no edit by the program."""
    model, optimizer, scaler = parts(fused=True)
    with observe(model, optimizer) as seen:
        amp_step(model, optimizer, scaler)
        amp_step(model, optimizer, scaler)
    assert [step.grad_scale for step in seen.of(OptimizerStep)] == [1024.0, 1024.0]
    assert seen.of(Unscaled) == []
    assert seen.of(GradientsEdited) == []
    assert seen.value("grad_norm", step=1) == pytest.approx(4.0)


Scale = Callable[[GradScaler, torch.Tensor], Any]
ROOTS: dict[str, Scale] = {
    "divided": lambda scaler, loss: scaler.scale(loss) / 4,
    "summed": lambda scaler, loss: scaler.scale(loss) + scaler.scale(loss * 2),
    "list": lambda scaler, loss: sum(scaler.scale([loss, loss])),
    "nested": lambda scaler, loss: scaler.scale([(loss,)])[0][0],  # type: ignore[list-item]
    "iterator": lambda scaler, loss: next(iter(scaler.scale(iter([loss])))),
    "by hand": lambda scaler, loss: loss * scaler.get_scale() / 3,
}


@needs_saved
@pytest.mark.parametrize("make", ROOTS.values(), ids=ROOTS.keys())
def test_a_scaled_root_is_known_however_it_was_made(make: Scale) -> None:
    """By the node that ``scale()`` made, or by the scaler's own number."""
    model, optimizer, scaler = parts()
    with observe(model, optimizer) as seen:
        scaler.scale(torch.ones(()))
        make(scaler, loss_of(model)).backward()
    (backward,) = seen.of(Backward)
    assert (backward.scalers, backward.scale) == ((0,), 1024.0)


def test_a_scale_given_as_the_first_gradient() -> None:
    """``backward(gradient=scale)`` scales, too."""
    model, optimizer, scaler = parts()
    with observe(model, optimizer) as seen:
        scaler.scale(torch.ones(()))
        loss_of(model).backward(gradient=torch.tensor(scaler.get_scale()))
    assert seen.of(Backward)[0].scalers == (0,)


def test_a_root_that_is_not_scaled() -> None:
    """A factor of the loss is not a scale, nor is another loss's."""
    model, optimizer, scaler = parts()
    with observe(model, optimizer) as seen:
        scaler.scale(loss_of(model))
        (loss_of(model) * 100.0).backward()
    assert (seen.of(Backward)[0].scalers, seen.of(Backward)[0].scale) == ((), None)


@needs_saved
@pytest.mark.parametrize("factor", [1024.0 / 4, 1024.0 * 0.3])
def test_a_scale_and_a_weight_in_one_number(factor: float) -> None:
    """``loss * (scale / n)`` is not known to be scaled, and not known to be unscaled."""
    model, optimizer, scaler = parts()
    with observe(model, optimizer) as seen:
        scaler.scale(torch.ones(()))
        (loss_of(model) * factor).backward()
    assert is_scaled(seen.of(Backward)[0]) is None


@pytest.mark.parametrize("root", [lambda loss: loss * 3.0, lambda loss: loss + loss * 500.0])
@needs_saved
def test_a_weight_is_no_scale(root: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Neither a small factor nor that of one summand."""
    model, optimizer, scaler = parts()
    with observe(model, optimizer) as seen:
        scaler.scale(torch.ones(()))
        root(loss_of(model)).backward()
    assert is_scaled(seen.of(Backward)[0]) is False


def test_a_scaled_gradient_taken_without_writing_it() -> None:
    """``autograd.grad`` of a scaled loss is scaled."""
    model, optimizer, scaler = parts()
    with observe(model, optimizer) as seen:
        torch.autograd.grad(scaler.scale(loss_of(model)), [model.weight])
    (backward,) = seen.of(Backward)
    assert (backward.accumulates, backward.scalers, backward.scale) == (False, (0,), 1024.0)


def test_a_disabled_scaler_is_told_of_and_nothing_else() -> None:
    """It has no state that could be asked."""
    model, optimizer, _ = parts()
    scaler = GradScaler("cpu", enabled=False)
    with observe(model, optimizer) as seen:
        amp_step(model, optimizer, scaler)
        scaler.unscale_(optimizer)
    assert kinds(seen) == ["scaler", "backward", "step"]
    assert seen.of(ScalerSeen)[0].enabled is False
    assert seen.of(OptimizerStep)[0].scaler is None


def test_several_optimizers_and_scalers() -> None:
    """Each event says which."""
    model, first, scaler = parts()
    other = nn.Linear(4, 1)
    second = torch.optim.SGD(other.parameters(), lr=0.1)
    another = GradScaler("cpu", init_scale=256.0)
    with observe() as seen:
        scaler.scale(loss_of(model) + loss_of(other)).backward()
        scaler.step(first)
        scaler.step(second)
        scaler.update()
        amp_step(other, second, another)
    assert [(e.scaler, e.optimizer) for e in seen.of(ScalerStep)] == [(0, 0), (0, 1), (1, 1)]
    assert [e.scalers for e in seen.of(Backward)] == [(0,), (1,)]
    assert [info.name for info in seen.optimizers] == ["first", "second"]


def test_one_root_scaled_by_two() -> None:
    """Both are named."""
    model, _, scaler = parts()
    another = GradScaler("cpu", init_scale=256.0)
    with observe() as seen:
        another.scale(scaler.scale(loss_of(model))).backward()
    assert seen.of(Backward)[0].scalers == (0, 1)


class Careful(GradScaler):
    """Overrides all and asks the one above."""

    def scale(self, outputs: Any) -> Any:
        return super().scale(outputs)

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        super().unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> Any:
        return super().step(optimizer, *args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        super().update(new_scale)


def test_a_subclass_that_asks_its_parent_is_told_once() -> None:
    """Its own methods are wrapped as well as its parent's."""
    model, optimizer, _ = parts()
    with observe(model, optimizer) as seen:
        amp_step(model, optimizer, Careful("cpu", init_scale=1024.0))
    assert kinds(seen) == ["scaler", "backward", "unscaled", "step", "scaler_step", "scaler_update"]


def test_the_older_name_is_a_subclass() -> None:
    """``torch.cuda.amp.GradScaler`` is disabled where there is no CUDA."""
    model, optimizer, _ = parts()
    with pytest.warns((FutureWarning, UserWarning)):
        scaler = torch.cuda.amp.GradScaler()
    with observe(model, optimizer) as seen:
        amp_step(model, optimizer, scaler)
    assert seen.of(ScalerSeen)[0].enabled is torch.cuda.is_available()


def test_a_scale_given_to_update() -> None:
    """It is the program's own."""
    model, optimizer, scaler = parts()
    with observe(model, optimizer) as seen:
        scaler.scale(loss_of(model)).backward()
        scaler.step(optimizer)
        scaler.update(16.0)
    (update,) = seen.of(ScalerUpdate)
    assert (update.before, update.after, update.given) == (1024.0, 16.0, True)


def test_growth_is_told() -> None:
    """Every update is told, so that a missing one can be."""
    model, optimizer, scaler = parts(growth_interval=2)
    with observe(model, optimizer) as seen:
        for _ in range(3):
            amp_step(model, optimizer, scaler)
    assert [(e.before, e.after) for e in seen.of(ScalerUpdate)] == [
        (1024.0, 1024.0),
        (1024.0, 2048.0),
        (2048.0, 2048.0),
    ]


def trained(*, watched: bool) -> tuple[dict[str, Any], torch.Tensor, bytes]:
    torch.manual_seed(0)
    model, optimizer, scaler = parts(growth_interval=2)

    def run() -> None:
        for i in range(5):
            amp_step(model, optimizer, scaler, float("inf") if i == 2 else 1.0)

    if watched:
        with observe():
            run()
    else:
        run()
    return scaler.state_dict(), model.weight.detach(), pickle.dumps(scaler)


def test_scaler_and_weights_are_as_without_a_watch() -> None:
    """State, pickle and numbers, bit for bit."""
    plain, watched = trained(watched=False), trained(watched=True)
    assert plain[0] == watched[0]
    assert torch.equal(plain[1], watched[1])
    assert plain[2] == watched[2]


def test_a_scaler_can_be_copied_while_it_is_watched() -> None:
    """Nothing of ours sits on it."""
    model, optimizer, scaler = parts()
    with observe(model, optimizer):
        amp_step(model, optimizer, scaler)
        assert copy.deepcopy(scaler).state_dict() == scaler.state_dict()
        assert pickle.loads(pickle.dumps(scaler)).state_dict() == scaler.state_dict()


def test_autocast_at_backward_and_step() -> None:
    """The dtype of the region that is open at the call."""
    model, optimizer, scaler = parts()
    with observe(model, optimizer) as seen:
        with torch.autocast("cpu", torch.float16):
            loss = loss_of(model)
        scaler.scale(loss).backward()
        with torch.autocast("cpu", torch.bfloat16):
            loss_of(model).backward()
            optimizer.step()
    assert [event.autocast for event in seen.of(Backward)] == [None, "bfloat16"]
    assert seen.of(OptimizerStep)[0].autocast == "bfloat16"


def plateau(optimizer: torch.optim.Optimizer) -> Any:
    return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)


def sequential(optimizer: torch.optim.Optimizer) -> Any:
    schedule = torch.optim.lr_scheduler
    return schedule.SequentialLR(
        optimizer, [schedule.StepLR(optimizer, 1, 0.5), schedule.StepLR(optimizer, 1, 0.5)], [5]
    )


def step_lr(optimizer: torch.optim.Optimizer) -> Any:
    return torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)


@pytest.mark.parametrize("make", [step_lr, sequential, plateau])
def test_a_scheduler_tells_each_step_once(make: Callable[[torch.optim.Optimizer], Any]) -> None:
    """Not the step its constructor takes, nor those of schedulers that it steps; it belongs to the step before."""
    model, optimizer, _ = parts()
    with observe(model, optimizer) as seen:
        scheduler = make(optimizer)
        for _ in range(2):
            optimizer.zero_grad()
            loss_of(model).backward()
            optimizer.step()
            scheduler.step(*((1.0,) if make is plateau else ()))
    events = seen.of(SchedulerStep)
    assert [event.step for event in events] == [0, 1]
    assert {event.scheduler for event in events} == {"scheduler"}
    assert events[-1].lr == (optimizer.param_groups[0]["lr"],)


def test_an_error_of_the_scaler_leaves_nothing_open() -> None:
    """The next plain step is not taken for one of the scaler's."""
    model, optimizer, scaler = parts()
    with observe(model, optimizer) as seen:
        scaler.scale(loss_of(model))
        with pytest.raises(AssertionError, match="No inf checks"):
            scaler.step(optimizer)
        loss_of(model).backward()
        optimizer.step()
    assert seen.of(OptimizerStep)[0].scaler is None
    assert seen.of(ScalerStep) == []
