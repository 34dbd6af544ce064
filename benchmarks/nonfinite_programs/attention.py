"""Attention and recurrence."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .program import Trial, program, train


@program("SoftmaxBackward0", "forward", "softmax of only -inf", source="pytorch#41508")
def fully_masked_row() -> Trial:
    """Scores filled with -inf where one query may look at nothing. The -inf is meant, the NaN is not."""
    net = nn.Linear(6, 18)
    x = torch.randn(2, 5, 6)
    hidden = torch.triu(torch.ones(5, 5, dtype=torch.bool), diagonal=0)

    def loss() -> Tensor:
        q, k, v = net(x).chunk(3, dim=-1)
        scores = (q @ k.transpose(1, 2) / math.sqrt(6)).masked_fill(hidden, -math.inf)
        weights = scores.softmax(-1)  # origin
        return (weights @ v).square().mean()

    return train(net, loss)


@program(
    "SoftmaxBackward0",
    "forward",
    "softmax of only -inf",
    rules=("GD502", "GD503"),
    source="pytorch#41508",
)
def padded_sample_in_attention() -> Trial:
    """MultiheadAttention over a sample that is all padding; its output is not even used."""
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    x = torch.randn(3, 4, 8)
    padding = torch.tensor([[False] * 4, [False, False, True, True], [True] * 4])

    def loss() -> Tensor:
        output, _ = attention(x, x, x, key_padding_mask=padding, need_weights=True)  # origin
        kept: Tensor = output[:2]
        return kept.square().mean()

    return train(attention, loss)


@program("LogsumexpBackward0", "backward", "all -inf", rules=("GD501", "GD503"), source="CRF layers")
def logsumexp_of_masked_row() -> Trial:
    """logsumexp over a row that an added mask of -inf hides as a whole; its result is replaced afterwards."""
    net = nn.Linear(4, 3)
    x = torch.randn(8, 4)
    hidden = torch.arange(8) >= 6
    mask = torch.where(hidden[:, None], -math.inf, 0.0)

    def loss() -> Tensor:
        scores = net(x) + mask
        total = scores.logsumexp(-1)  # origin
        return total.masked_fill(hidden, 0.0).mean()

    return train(net, loss)


@program("MmBackward0", "forward", "overflow", source="exploding recurrence")
def recurrence_explodes() -> Trial:
    """A ReLU recurrence that grows until a product overflows."""
    inner = nn.Parameter(1e4 * torch.rand(6, 6))
    outer = nn.Parameter(torch.rand(4, 6))
    x = torch.rand(12, 2, 4)

    def loss() -> Tensor:
        state = torch.zeros(2, 6)
        for moment in x:
            state = torch.relu(moment @ outer + state @ inner)  # origin
        return state.mean()

    return train([inner, outer], loss)


@program("MmBackward0", "backward", "overflow", source="exploding gradients through time")
def gradient_explodes_through_time() -> Trial:
    """Backpropagation through a recurrence that multiplies the gradient at each step and starts at 0."""
    inner = nn.Parameter(1e8 * torch.eye(6))
    outer = nn.Parameter(torch.zeros(4, 6))
    x = torch.rand(8, 2, 4)

    def loss() -> Tensor:
        state = torch.zeros(2, 6)
        for moment in x:
            state = moment @ outer + state @ inner  # origin
        return state.sum()

    return train([inner, outer], loss)


class Decoder(nn.Module):
    """One layer of a decoder with a mask in the dtype's minimum."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 8)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Attention over (batch, time, 8)."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        scores = q @ k.transpose(1, 2) + mask
        weights = torch.softmax(scores, dim=-1)  # origin
        output: Tensor = self.out(weights @ v)
        return output


@program(
    "SoftmaxBackward0", "forward", "softmax of only -inf", source="left-padded prompts", where=Decoder.forward
)
def minima_of_two_masks_add_up() -> Trial:
    """Two masks of finfo.min, added: -inf all along a row, inside a module."""
    decoder = Decoder()
    x = torch.randn(2, 5, 8)
    low = torch.finfo(torch.float32).min
    causal = torch.full((5, 5), low).triu(1)
    padding = torch.zeros(2, 1, 5)
    padding[1] = low

    def loss() -> Tensor:
        output: Tensor = decoder(x, causal + 2 * padding)
        return output.square().mean()

    return train(decoder, loss)
