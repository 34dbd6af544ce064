"""Bad numbers that no op of the graph made: data, targets, noise, weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .program import Trial, program, train


def classifier() -> nn.Sequential:
    """A small network."""
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


@program("AddmmBackward0", "data", "NaN in the input", source="mmf#893", steps=3)
def nan_in_one_sample() -> Trial:
    """One NaN in one sample of the third batch."""
    net = classifier()
    x = torch.randn(3, 8, 6)
    x[2, 5, 1] = math.nan
    y = torch.randint(3, (8,))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def step(number: int) -> None:
        optimizer.zero_grad()
        logits = net(x[number])  # origin
        F.cross_entropy(logits, y).backward()
        optimizer.step()

    return Trial(step, tuple(net.parameters()), (optimizer,))


@program("AddmmBackward0", "data", "inf in the input", source="features by log(0)")
def inf_in_a_feature() -> Trial:
    """A feature that was made by ``log`` of a count of 0."""
    net = classifier()
    x = torch.randint(1, 9, (8, 6)).float()
    x[4, 0] = 0.0
    x = x.log()

    def loss() -> Tensor:
        output: Tensor = net(x)  # origin
        return output.square().mean()

    return train(net, loss)


@program("MseLossBackward0", "data", "NaN in the target", source="missing labels as NaN")
def nan_in_the_target() -> Trial:
    """A missing value in the targets of a regression."""
    net = classifier()
    x = torch.randn(8, 6)
    y = torch.randn(8, 3)
    y[0, 0] = math.nan

    def loss() -> Tensor:
        return F.mse_loss(net(x), y)  # origin

    return train(net, loss)


@program("AddBackward0", "data", "inf in the noise", source="Gumbel noise of a 0")
def gumbel_noise_of_zero() -> Trial:
    """Gumbel noise ``-log(-log(u))`` of a u that is 1: made without a graph, it enters by the sum."""
    net = classifier()
    x = torch.randn(8, 6)
    u = torch.rand(8, 3)
    u[2, 2] = 1.0

    def loss() -> Tensor:
        noise = -torch.log(-torch.log(u))
        noisy = net(x) + noise  # origin
        soft = (noisy / 0.5).softmax(-1)
        return soft.square().mean()

    return train(net, loss)


@program("AddmmBackward0", "data", "NaN in the input", source="min-max scaling of a constant column")
def scaling_of_a_constant_column() -> Trial:
    """Preprocessing divides 0 by 0, outside of the graph."""
    net = classifier()
    x = torch.randn(8, 6)
    x[:, 2] = 3.0

    def loss() -> Tensor:
        low, high = x.amin(0), x.amax(0)
        ready = (x - low) / (high - low)
        output: Tensor = net(ready)  # origin
        return output.square().mean()

    return train(net, loss)


@program("", "weights", "the learning rate", source="a rate in the wrong unit", steps=2)
def weights_overflow_by_rate() -> Trial:
    """A learning rate of 1e38 makes inf of some weights; the next forward meets them."""
    net = nn.Linear(6, 3)
    x = 1000 * torch.randn(8, 6)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e38)

    def step(number: int) -> None:
        optimizer.zero_grad()
        output = net(x)
        output.square().mean().backward()
        optimizer.step()  # origin

    return Trial(step, tuple(net.parameters()), (optimizer,))


@program("AddmmBackward0", "forward", "overflow", source="diverging training", steps=3)
def training_diverges() -> Trial:
    """A learning rate too large by far: weights grow, stay finite, and a layer's output overflows at last."""
    first, second = nn.Linear(6, 8), nn.Linear(8, 3)
    x = torch.randn(8, 6)
    parameters = (*first.parameters(), *second.parameters())
    optimizer = torch.optim.SGD(parameters, lr=1e9)

    def step(number: int) -> None:
        optimizer.zero_grad()
        hidden = first(x)
        output = second(hidden)  # origin
        output.square().mean().backward()
        optimizer.step()

    return Trial(step, parameters, (optimizer,))


@program("EmbeddingBackward0", "weights", "NaN in a weight", source="resized embeddings left unset")
def embedding_row_never_set() -> Trial:
    """A row of an embedding that came as NaN from a checkpoint."""
    net = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2))
    with torch.no_grad():
        net[0].weight[7] = math.nan
    tokens = torch.tensor([1, 2, 7, 3])

    def loss() -> Tensor:
        output: Tensor = net(tokens)  # origin
        return output.square().mean()

    return train(net, loss)
