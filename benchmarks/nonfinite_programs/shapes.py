"""The same troubles in code of other shapes: checkpoints, helpers, wrappers, comprehensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .distances import pairwise, polar
from .program import Trial, program, train


class Norms(nn.Module):
    """A layer that takes the root of what may be 0."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 6, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 4) to (batch, 6)."""
        power: Tensor = self.inner(x).square()
        return power.sqrt()  # origin


@program("SqrtBackward0", "backward", "sqrt of 0", source="", where=Norms.forward)
def inside_a_checkpoint() -> Trial:
    """Inside a checkpoint, whose ops run a second time in backward."""
    layer, head = Norms(), nn.Linear(6, 2)
    x = torch.randn(8, 4)
    x[3] = 0.0

    def loss() -> Tensor:
        hidden: Any = checkpoint(layer, x, use_reentrant=False)
        output: Tensor = head(hidden)
        return output.sum()

    return train([*layer.parameters(), *head.parameters()], loss)


@program("SqrtBackward0", "backward", "sqrt of 0", source="", where=Norms.forward)
def inside_a_reentrant_checkpoint() -> Trial:
    """Inside a reentrant checkpoint, which runs a backward inside the backward."""
    layer, head = Norms(), nn.Linear(6, 2)
    x = torch.randn(8, 4)
    x[3] = 0.0
    x.requires_grad_()

    def loss() -> Tensor:
        hidden: Any = checkpoint(layer, x, use_reentrant=True)
        output: Tensor = head(hidden)
        return output.sum()

    return train([*layer.parameters(), *head.parameters()], loss)


@program("SqrtBackward0", "backward", "sqrt of 0", source="hand-made cdist", where=pairwise)
def in_a_helper_of_another_file() -> Trial:
    """A helper function in another file: distances of all pairs, each point with itself included."""
    net = nn.Linear(4, 3)
    x = torch.randn(8, 4)
    return train(net, lambda: pairwise(net(x)).mean())


@program("Atan2Backward0", "backward", "overflow", source="polar coordinates", where=polar)
def in_a_helper_called_twice() -> Trial:
    """A helper that is called for a healthy point first and then for one that is almost the origin."""
    points = nn.Parameter(torch.tensor([[1.0, 2.0], [3e-20, 1e-20]]))
    return train([points], lambda: polar(points[0]) + polar(points[1]))


class Trainer:
    """A trainer as libraries have them: it owns the loop and calls the user's function."""

    def __init__(self, model: nn.Module, objective: Callable[[nn.Module, Tensor], Tensor]) -> None:
        self.model, self.objective = model, objective
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)

    def fit(self, batch: Tensor) -> None:
        """One step."""
        with torch.enable_grad():
            loss = self.objective(self.model, batch)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()


@program("DivBackward0", "forward", "0/0", source="")
def behind_a_trainer() -> Trial:
    """The loop belongs to a trainer, the loss to the user."""
    net = nn.Linear(4, 6, bias=False)
    x = torch.zeros(8, 4)

    def objective(model: nn.Module, batch: Tensor) -> Tensor:
        features = model(batch).abs()
        share = features / features.sum()  # origin
        return (share * torch.arange(6)).sum()

    trainer = Trainer(net, objective)
    return Trial(lambda number: trainer.fit(x), tuple(net.parameters()), (trainer.optimizer,))


#: A package as pip would have installed it, so that the line to name is the user's own.
_INSTALLED = """
def angle_between(a, b):
    cosine = (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))
    return cosine.clamp(-1, 1).acos()
"""


def installed_package() -> dict[str, Any]:
    """The functions of that package."""
    names: dict[str, Any] = {}
    exec(compile(_INSTALLED, "/opt/venv/site-packages/geometry/angles.py", "exec"), names)
    return names


@program("AcosBackward0", "backward", "acos of 1 or -1", source="geodesic losses")
def in_an_installed_package() -> Trial:
    """The op is in an installed package: the line is where the user calls it."""
    direction = nn.Parameter(torch.tensor([[2.0, 0.0], [1.0, 2.0]]))
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    angle_between = installed_package()["angle_between"]

    def loss() -> Tensor:
        angles: Tensor = angle_between(direction, target)  # origin
        return angles.mean()

    return train([direction], loss)


@program("LogBackward0", "forward", "log of 0", source="")
def in_a_lambda() -> Trial:
    """One of several transforms in a table of lambdas."""
    net = nn.Linear(4, 3, bias=False)
    x = torch.randn(8, 4)
    x[3] = 0.0
    transforms: dict[str, Callable[[Tensor], Tensor]] = {
        "square": lambda t: t.square(),
        "logarithm": lambda t: t.abs().log(),  # origin
        "tanh": lambda t: t.tanh(),
    }
    return train(net, lambda: sum(f(net(x)).mean() for f in transforms.values()))  # type: ignore[arg-type, return-value]


@program("SqrtBackward0", "backward", "sqrt of 0", source="")
def in_a_comprehension() -> Trial:
    """A list comprehension over the layers of a network, one of them all zero."""
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    nn.init.zeros_(net[1].bias)
    x = torch.randn(8, 4)

    def loss() -> Tensor:
        output: Tensor = net(x)
        sizes = [layer.bias.square().sum().sqrt() for layer in net]  # origin
        return output.square().mean() + 1e-3 * torch.stack(sizes).sum()

    return train(net, loss)


@program("LogBackward0", "backward", "masked branch", rules=("GD503",), source="")
def over_several_lines() -> Trial:
    """One expression over several lines; the line is that of the op's own call."""
    net = nn.Linear(4, 3, bias=False)
    x = torch.randn(8, 4)
    x[3] = 0.0

    def loss() -> Tensor:
        p = net(x).square()
        return -torch.where(
            p > 0,
            torch.add(
                p,
                torch.log(p),  # origin
            ),
            torch.zeros_like(p),
        ).mean()

    return train(net, loss)


@program("SqrtBackward0", "backward", "sqrt of 0", source="")
def over_a_chain_of_methods() -> Trial:
    """A chain of methods, one a line."""
    net = nn.Linear(4, 3)
    x = torch.randn(8, 4)

    def loss() -> Tensor:
        output: Tensor = net(x)
        return (
            output.relu()
            .square()
            .prod(-1)
            .sqrt()  # origin
            .mean()
        )

    return train(net, loss)


@program("SqrtBackward0", "backward", "sqrt of 0", source="")
def in_place() -> Trial:
    """An in-place op."""
    net = nn.Linear(4, 3, bias=False)
    x = torch.randn(8, 4)
    x[3] = 0.0

    def loss() -> Tensor:
        hidden = net(x).square() * 2
        hidden.sqrt_()  # origin
        return hidden.sum()

    return train(net, loss)


class Reciprocal(torch.autograd.Function):
    """A function of the user's own, with a backward that divides."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """1 / x, or 0 where x is 0."""
        ctx.save_for_backward(x)
        return torch.where(x == 0, 0.0, 1 / x)

    @staticmethod  # origin
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Forgot about 0."""
        (x,) = ctx.saved_tensors
        return -gradients[0] / x.square()


@program("ReciprocalBackward", "backward", "division by 0", source="", where=Reciprocal.backward)
def in_a_custom_function() -> Trial:
    """A custom autograd.Function whose backward divides by 0."""
    net = nn.Linear(4, 3, bias=False)
    x = torch.randn(8, 4)
    x[3] = 0.0

    def loss() -> Tensor:
        inverse: Any = Reciprocal.apply(net(x) * 2)
        total: Tensor = inverse.sum()
        return total

    return train(net, loss)


@program("SqrtBackward0", "backward", "sqrt of 0", source="")
def several_origins() -> Trial:
    """Two branches, both bad; backward meets the later one first."""
    net = nn.Linear(4, 3, bias=False)
    x = torch.randn(8, 4)
    x[3] = 0.0

    def loss() -> Tensor:
        hidden = net(x).square()
        first = hidden**0.5
        second = hidden.sqrt()  # origin
        return first.sum() + second.sum()

    return train(net, loss)


@program("LogBackward0", "forward", "log of 0", source="")
def second_of_three_micro_batches() -> Trial:
    """Gradient accumulation; only the second micro-batch is bad."""
    net = nn.Linear(4, 3)
    batches = torch.rand(3, 8, 4)
    with torch.no_grad():
        net.weight.copy_(net.weight.abs())
        net.bias.zero_()
    batches[1, 4] = 0.0
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)

    def step(number: int) -> None:
        optimizer.zero_grad()
        for batch in batches:
            loss = net(batch).log().mean()  # origin
            (loss / 3).backward()
        optimizer.step()

    return Trial(step, tuple(net.parameters()), (optimizer,))


@program("SqrtBackward0", "backward", "sqrt of 0", source="training by autograd.grad")
def by_autograd_grad() -> Trial:
    """Gradients taken by ``torch.autograd.grad`` and put into ``.grad`` by hand."""
    net = nn.Linear(4, 3, bias=False)
    x = torch.randn(8, 4)
    x[3] = 0.0
    parameters = tuple(net.parameters())
    optimizer = torch.optim.SGD(parameters, lr=0.01)

    def step(number: int) -> None:
        loss = net(x).square().sqrt().mean()  # origin
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()

    return Trial(step, parameters, (optimizer,))
