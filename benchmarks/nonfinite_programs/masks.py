"""A branch that is masked away in forward and still sends NaN back: 0 times inf."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .program import Trial, program, train

MASKED = ("GD503",)


@program("SqrtBackward0", "backward", "masked branch", rules=MASKED, source="pytorch#68425")
def where_over_sqrt() -> Trial:
    """``where(d > 0, sqrt(d), 0)``."""
    net = nn.Linear(4, 3, bias=False)
    x = torch.randn(8, 4)
    x[3] = 0.0

    def loss() -> Tensor:
        d = net(x).square()
        root = torch.sqrt(d)  # origin
        return torch.where(d > 0, root, torch.zeros_like(d)).mean()

    return train(net, loss)


@program("LogBackward0", "backward", "masked branch", rules=MASKED, source="pytorch#52248")
def where_over_log() -> Trial:
    """``where(p > 0, log(p), 0)`` in one line."""
    net = nn.Linear(4, 3, bias=False)
    x = torch.randn(8, 4)
    x[3] = 0.0

    def loss() -> Tensor:
        p = net(x).square()
        return torch.where(p > 0, p.log(), 0.0).mean()  # origin

    return train(net, loss)


@program("DivBackward0", "backward", "masked branch", rules=MASKED, source="pytorch#16317")
def where_over_division() -> Trial:
    """A safe division that is not: ``where(n > 0, s / n, 0)``."""
    net = nn.Linear(4, 3)
    x = torch.randn(8, 4)
    x[2] = 0.0

    def loss() -> Tensor:
        total = net(x).square()
        count = (net.weight * x[:, None]).sum(-1).square()
        mean = total / count  # origin
        return torch.where(count > 0, mean, torch.zeros_like(mean)).mean()

    return train(net, loss)


@program("ExpBackward0", "backward", "masked branch", rules=MASKED, source="pytorch#68425")
def where_over_exp() -> Trial:
    """A hand-made ELU whose unused branch overflows."""
    net = nn.Linear(4, 3)
    x = 300 * torch.randn(8, 4)

    def loss() -> Tensor:
        z = net(x)
        low = torch.exp(z) - 1  # origin
        return torch.where(z > 0, z, low).mean()

    return train(net, loss)


@program("LogBackward0", "backward", "masked branch", rules=MASKED, source="caustics PR#83")
def log_then_masked_fill() -> Trial:
    """``log`` first, ``masked_fill`` of the padding after."""
    net = nn.Linear(4, 3)
    x = torch.randn(8, 4)
    padding = torch.zeros(8, 3, dtype=torch.bool)
    padding[5:] = True

    def loss() -> Tensor:
        p = net(x).softmax(-1) * ~padding
        logs = p.log()  # origin
        return -logs.masked_fill(padding, 0.0).sum() / 5

    return train(net, loss)


@program("LogBackward0", "backward", "masked branch", rules=MASKED, source="pytorch#68425")
def nan_to_num_after_log() -> Trial:
    """``nan_to_num`` hides -inf in forward only."""
    net = nn.Linear(4, 3, bias=False)
    x = torch.randn(8, 4)
    x[3] = 0.0

    def loss() -> Tensor:
        logs = net(x).square().log()  # origin
        return torch.nan_to_num(logs, neginf=0.0).mean()

    return train(net, loss)


@program("SqrtBackward0", "backward", "masked branch", rules=MASKED, source="pytorch#108618")
def boolean_index_after_sqrt() -> Trial:
    """Rows are selected by a boolean mask, but only after the root."""
    net = nn.Linear(4, 3, bias=False)
    x = torch.randn(8, 4)
    x[3] = 0.0

    def loss() -> Tensor:
        d = net(x).square()
        root = d.sqrt()  # origin
        return root[d > 0].mean()

    return train(net, loss)


@program("SqrtBackward0", "backward", "masked branch", rules=MASKED, source="pytorch#187297")
def clamp_after_sqrt() -> Trial:
    """``sqrt(d).clamp(min=eps)``: the clamp comes too late."""
    net = nn.Linear(4, 3, bias=False)
    x = torch.randn(8, 4)
    x[3] = 0.0

    def loss() -> Tensor:
        d = net(x).square()
        norm = d.sqrt().clamp(min=1e-6)  # origin
        return norm.mean()

    return train(net, loss)


@program("SqrtBackward0", "backward", "masked branch", rules=("GD503", "GD501"), source="triplet losses")
def hinge_over_distance() -> Trial:
    """Contrastive loss: the hinge is not active for the pair whose distance is 0."""
    net = nn.Linear(4, 3)
    x = torch.randn(8, 4)
    y = x + torch.randn(8, 4)
    y[1] = x[1]

    def loss() -> Tensor:
        distance = (net(x) - net(y)).square().sum(-1).sqrt()  # origin
        return (distance - 0.1).relu().mean()

    return train(net, loss)


@program("LogBackward0", "backward", "masked branch", rules=("GD503", "GD501"), source="pytorch#68425")
def slice_after_log() -> Trial:
    """The last column is 0 by construction and sliced off after the log."""
    net = nn.Linear(4, 3)
    x = torch.randn(8, 4)

    def loss() -> Tensor:
        p = net(x).softmax(-1) * torch.tensor([1.0, 1.0, 0.0])
        logs = p.log()  # origin
        return -logs[:, :2].mean()

    return train(net, loss)


@program("LogBackward0", "forward", "log of 0", source="masks that multiply")
def mask_by_multiplication() -> Trial:
    """A mask that multiplies does not even hide it in forward."""
    net = nn.Linear(4, 3)
    x = torch.randn(8, 4)
    mask = (torch.arange(8) < 5).float()[:, None]

    def loss() -> Tensor:
        p = net(x).softmax(-1) * mask
        logs = p.log()  # origin
        return -(logs * mask).sum() / 5

    return train(net, loss)


@program("", "nowhere", "the ReLU stops it", source="pytorch#52248")
def relu_stops_it() -> Trial:
    """The ReLU before the root turns the NaN into 0: no gradient is bad, there is nothing to report."""
    net = nn.Linear(4, 3)
    x = torch.randn(8, 4)

    def loss() -> Tensor:
        d = net(x).relu()
        root = torch.sqrt(d)  # origin
        return torch.where(d > 0, root, torch.zeros_like(d)).mean()

    return train(net, loss)
