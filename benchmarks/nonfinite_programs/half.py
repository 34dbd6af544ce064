"""float16 and bfloat16: overflow with and without a scaler, an eps that rounds to 0."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .program import Trial, program, train


def train_scaled(net: nn.Module, loss: Callable[[], Tensor], scale: float, *, fused: bool = False) -> Trial:
    """The ordinary loop with fp16 autocast and a GradScaler."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)

    def step(number: int) -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.float16):
            value = loss()
        scaler.scale(value).backward()
        scaler.step(optimizer)
        scaler.update()

    return Trial(step, tuple(net.parameters()), (optimizer, scaler))


class Features(nn.Module):
    """Two layers, the first of which grew too large for float16."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(16, 32)
        self.down = nn.Linear(32, 2)
        with torch.no_grad():
            self.up.weight.mul_(1e5)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 16) to (batch, 2)."""
        wide = self.up(x)  # origin
        output: Tensor = self.down(F.relu(wide))
        return output


@program("AddmmBackward0", "forward", "overflow", source="transformers#11076", where=Features.forward)
def activations_overflow_in_fp16() -> Trial:
    """fp16 autocast without a scaler: a layer's output is above 65,504."""
    net = Features()
    x = torch.randn(8, 16)

    def loss() -> Tensor:
        with torch.autocast("cpu", torch.float16):
            output = net(x)
        return output.float().square().mean()

    return train(net, loss)


@program("AddmmBackward0", "forward", "overflow", source="pytorch#99640", where=Features.forward)
def no_scale_helps_a_forward_overflow() -> Trial:
    """The same under a GradScaler, which can only skip."""
    net = Features()
    x = torch.randn(8, 16)
    return train_scaled(net, lambda: net(x).float().square().mean(), 1024.0)


@program("AddmmBackward0", "backward", "overflow", source="pytorch#99640: first steps of a GradScaler")
def scale_too_large() -> Trial:
    """fp16 gradients overflow because the loss scale is too large."""
    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))
    with torch.no_grad():
        net[2].weight.mul_(100.0)
    x = 10 * torch.randn(8, 16)

    def loss() -> Tensor:
        output: Tensor = net(x)  # origin
        return output.float().square().mean()

    return train_scaled(net, loss, 64.0)


@program("AddmmBackward0", "backward", "overflow", source="a fused kernel that skips by itself")
def scale_too_large_fused() -> Trial:
    """The same with a fused optimizer, whose step is entered even so."""
    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))
    with torch.no_grad():
        net[2].weight.mul_(100.0)
    x = 10 * torch.randn(8, 16)

    def loss() -> Tensor:
        output: Tensor = net(x)  # origin
        return output.float().square().mean()

    return train_scaled(net, loss, 64.0, fused=True)


@program("MmBackward0", "forward", "overflow", source="transformers#12225, logits of attention in half")
def attention_logits_in_half() -> Trial:
    """Logits of attention above 65,504, without the division by the root of the width."""
    net = nn.Linear(16, 32).half()
    x = (300 * torch.randn(8, 16)).half()

    def loss() -> Tensor:
        q, k = net(x).chunk(2, dim=-1)
        scores = q @ k.T  # origin
        return scores.softmax(-1).float().square().mean()

    return train(net, loss)


@program("DivBackward0", "forward", "0/0", source="pytorch#147437")
def eps_rounds_to_zero() -> Trial:
    """``x / (norm + 1e-8)`` in float16, where 1e-8 is 0."""
    net = nn.Linear(16, 16, bias=False).half()
    x = torch.randn(8, 16).half()
    x[3] = 0.0

    def loss() -> Tensor:
        hidden = net(x)
        unit = hidden / (hidden.norm(dim=-1, keepdim=True) + 1e-8)  # origin
        return unit.float().mean()

    return train(net, loss)


@program("LogBackward0", "forward", "log of 0", source="bfloat16 has 8 bits of precision")
def cancellation_in_bf16() -> Trial:
    """``log(1 - p)`` in bfloat16, where a p of 0.999 is 1."""
    net = nn.Linear(16, 1)
    x = torch.randn(8, 16)
    with torch.no_grad():
        net.bias.fill_(7.0)
        net.weight.mul_(0.01)

    def loss() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            p = torch.sigmoid(net(x))
            rest = torch.log(1 - p)  # origin
        return -rest.float().mean()

    return train(net, loss)


@program("ToCopyBackward0", "forward", "overflow", source="casts to half by hand")
def cast_to_half_by_hand() -> Trial:
    """Logits of 1e5 cast to half "to save memory"."""
    net = nn.Linear(16, 4)
    x = 1e6 * torch.randn(8, 16)
    y = torch.randint(4, (8,))

    def loss() -> Tensor:
        logits = net(x).half()  # origin
        return F.cross_entropy(logits.float(), y)

    return train(net, loss)


@program("", "weights", "Adam's eps rounds to 0", source="pytorch#147437", steps=2)
def adam_eps_in_half() -> Trial:
    """Adam in float16: eps 1e-8 is 0 there, a gradient of 0 gives 0/0, and the next forward is NaN."""
    net = nn.Linear(16, 4).half()
    x = torch.randn(8, 16).half()
    x[:, 3] = 0.0
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(number: int) -> None:
        optimizer.zero_grad()
        output = net(x)
        output.float().square().mean().backward()
        optimizer.step()  # origin

    return Trial(step, tuple(net.parameters()), (optimizer,))
