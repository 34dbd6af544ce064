"""Where NaN and inf are born: real models that meet them, with every node measured and with none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from graddebug.capture.measuring import NodesMode
from graddebug.records import Amplified, Backward, Nonfinite, Origin
from tests.capture.observing import Seen, mlp, observe
from tests.older_torch import needs_saved

Loss = Callable[[nn.Module, torch.Tensor], torch.Tensor]


def seen_of(
    loss_of: Loss, x: torch.Tensor | None = None, *, nodes: NodesMode = "always", **model: nn.Module
) -> Seen:
    """What capture told of one backward."""
    net = next(iter(model.values()), None) or mlp(3, 3)
    with observe(net, nodes=nodes) as seen:
        loss_of(net, torch.ones(2, 3) if x is None else x).backward()
    return seen


def origin_of(loss_of: Loss, x: torch.Tensor | None = None, **options: NodesMode) -> Origin:
    """Where it says that the bad number was born."""
    (event,) = seen_of(loss_of, x, **options).of(Nonfinite)  # type: ignore[arg-type]
    assert event.captured
    return event.origins[0]


def line_of(function: Callable[..., object], word: str) -> int:
    """The line of a function's source that holds a word."""
    import inspect

    lines, first = inspect.getsourcelines(function)
    return first + next(place for place, line in enumerate(lines) if word in line)


def root_of_zero(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = (model(x) * 0).pow(2).sum()
    return total.sqrt()


def masked(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    out: torch.Tensor = model(x) * 0 - 1.0
    root = torch.sqrt(out)
    chosen = torch.where(out > 0, root, torch.zeros(()))
    total: torch.Tensor = chosen.sum() + model(x).sum()
    return total


def log_of_zero(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    out = (model(x) * 0).log()
    result: torch.Tensor = mlp(3, 2)(out)
    return result.mean()


def plain(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = model(x)
    return result.mean()


@needs_saved
def test_born_backward_at_the_op_whose_gradient_came_in_finite() -> None:
    """The square root at zero, and not the multiplication that met its inf."""
    origin = origin_of(root_of_zero)
    assert (origin.born, origin.op, origin.inf, origin.incoming) == ("backward", "SqrtBackward0", 1, 1.0)
    assert origin.site is not None
    assert origin.site.line == line_of(root_of_zero, "sqrt")
    assert [operand.zeros for operand in origin.operands] == [1]


def test_behind_a_mask() -> None:
    """The mask above the op, and how many zeros came into it."""
    origin = origin_of(masked)
    assert (origin.op, origin.mask_op) == ("SqrtBackward0", "WhereBackward0")
    assert (origin.incoming_zeros, origin.incoming_numel) == (6, 6)
    assert origin.mask_site is not None
    assert origin.mask_site.line == line_of(masked, "torch.where")


def test_born_forward_where_the_inf_came_from() -> None:
    """NaN that a layer makes of an inf is the doing of the op that made the inf."""
    origin = origin_of(log_of_zero)
    assert (origin.born, origin.op, origin.inf) == ("forward", "LogBackward0", 6)
    assert origin.operands[0].zeros == 6


def test_bad_data() -> None:
    """An input that holds NaN is to blame, and the op is the one that met it."""
    x = torch.ones(2, 3)
    x[1, 2] = float("nan")
    origin = origin_of(plain, x)
    assert (origin.born, origin.op, origin.operands[0].nan) == ("data", "AddmmBackward0", 1)


def test_bad_weights() -> None:
    """A weight that holds NaN is named."""
    model = mlp(3, 3)
    with torch.no_grad():
        next(model.parameters())[0, 0] = float("nan")
    (event,) = seen_of(plain, model=model).of(Nonfinite)
    assert (event.origins[0].born, event.origins[0].parameter) == ("weights", 0)


def test_a_gradient_that_the_backward_began_with() -> None:
    """``backward(gradient)`` with an inf in it."""
    model = mlp(3, 3)
    with observe(model, nodes="always") as seen:
        model(torch.ones(2, 3)).backward(torch.full((2, 3), float("inf")))
    (event,) = seen.of(Nonfinite)
    assert event.origins[0].born == "root"


def test_finite_gradients_whose_sum_is_not() -> None:
    """Neither sender is to blame alone."""
    model = mlp(3, 3)
    with observe(model, nodes="always") as seen:
        hidden = model(torch.ones(2, 3)) * 0
        (hidden * 2e38 + hidden * 2e38 + hidden * 2e38).sum().backward()
    (event,) = seen.of(Nonfinite)
    assert event.origins[0].op == "sum of gradients"


def test_a_mask_of_minus_infinity_is_no_origin() -> None:
    """A row that is masked whole makes NaN in the softmax; the mask itself is meant."""

    def attend(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        scores = model(x).masked_fill(torch.ones(2, 3, dtype=torch.bool), float("-inf"))
        return torch.softmax(scores, -1).sum()

    assert origin_of(attend).op == "SoftmaxBackward0"


def test_infinity_that_came_with_data_is_followed() -> None:
    """Noise of +inf is no mask: the op that met it is named, and not the softmax that made NaN of it."""
    noise = torch.tensor([[0.0, float("inf"), 0.0]] * 2)

    def sample(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(model(x) + noise, -1).sum()

    origin = origin_of(sample)
    assert (origin.born, origin.op) == ("data", "AddBackward0")


@pytest.mark.parametrize("reentrant", [True, False])
def test_inside_a_checkpoint(*, reentrant: bool) -> None:
    """The op inside is named, and not the checkpoint."""

    def inner(x: torch.Tensor) -> torch.Tensor:
        return (x * 0).sqrt()

    def outer(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = checkpoint(inner, model(x), use_reentrant=reentrant)
        return result.sum()

    assert origin_of(outer).op == "SqrtBackward0"


def test_in_a_gradient_penalty() -> None:
    """A graph made by ``autograd.grad`` is the forward of the loss that uses it."""

    def penalty(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        x.requires_grad_()
        (gradient,) = torch.autograd.grad((model(x) * 0).sum(), x, create_graph=True)
        return gradient.pow(2).sum().sqrt()

    assert origin_of(penalty).op == "SqrtBackward0"


def test_not_measured() -> None:
    """Parameters alone say between which nodes: all that is bad lies below the first of them."""
    (event,) = seen_of(root_of_zero, nodes="off").of(Nonfinite)
    assert (event.captured, event.origins) == (False, ())
    assert [origin.op for origin in event.between] == ["SqrtBackward0", "AddmmBackward0"]


@needs_saved
def test_not_measured_but_saved() -> None:
    """What the graph saved tells of a forward that was not measured."""
    (event,) = seen_of(log_of_zero, nodes="off").of(Nonfinite)
    (near,) = event.between
    assert (near.born, near.op) == ("forward", "LogBackward0")


def test_all_finite() -> None:
    """Nothing is told of an ordinary backward but its numbers."""
    seen = seen_of(plain)
    assert not seen.of(Nonfinite)
    assert not seen.of(Amplified)
    assert seen.of(Backward)[0].captured
    assert len(seen.node_tables) == len(seen.module_tables) == 1


def test_trouble_is_measured_afterwards() -> None:
    """Out of budget, the steps after a NaN are measured all the same."""
    model = mlp(3, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with observe(model, optimizer) as seen:
        assert seen.capture is not None
        measuring = seen.capture._context.measuring
        measuring._spent = 1e9
        for loss_of in (plain, plain, root_of_zero, *[plain] * 5):
            loss_of(model, torch.ones(2, 3)).backward()
            if loss_of is plain:
                optimizer.step()
            optimizer.zero_grad()
    measured = [backward.captured for backward in seen.of(Backward)]
    assert measured == [True, False, False, True, True, True, True, False]


def test_the_loss_is_told_without_its_scale() -> None:
    """What a scaler multiplied is divided again."""
    model = mlp(3, 3)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with observe(model) as seen:
        loss = plain(model, torch.ones(2, 3))
        scaler.scale(loss).backward()
    assert seen.of(Backward)[0].loss == pytest.approx(loss.item())
    assert seen.steps[0].loss == pytest.approx(loss.item())


def test_the_function_that_the_program_called_is_told_beside_the_last_of_its_nodes() -> None:
    """kl_div is a quotient, or a mean, to autograd."""

    def divergence(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        never = torch.full((2, 3), -torch.inf)
        return nn.functional.kl_div(model(x), never, log_target=True, reduction="batchmean")

    (event,) = seen_of(divergence).of(Nonfinite)
    assert event.origins[0].function == "kl_div"
    assert event.origins[0].op == "DivBackward0"
