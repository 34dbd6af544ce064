"""Losses that divide, take logs or overflow."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .program import Trial, program, train


@program("DivBackward0", "forward", "0/0", source="masked means over nothing", steps=2)
def mean_over_empty_mask() -> Trial:
    """``(loss * mask).sum() / mask.sum()`` with nothing left in the mask, in the second batch."""
    net = nn.Linear(4, 3)
    x = torch.randn(8, 4)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)

    def step(number: int) -> None:
        mask = torch.full((8, 1), float(number == 0))
        optimizer.zero_grad()
        each = net(x).square()
        loss = (each * mask).sum() / mask.sum()  # origin
        loss.backward()
        optimizer.step()

    return Trial(step, tuple(net.parameters()), (optimizer,))


@program("DivBackward0", "forward", "0/0", source="dice loss without smoothing")
def dice_of_empty_masks() -> Trial:
    """Dice loss where neither prediction nor target has a pixel of the class."""
    net = nn.Conv2d(1, 3, 3, padding=1)
    image = torch.randn(2, 1, 8, 8)
    target = F.one_hot(torch.randint(2, (2, 8, 8)), 3).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        net.weight[2], net.bias[2] = 0.0, 0.0

    def loss() -> Tensor:
        predicted = net(image).square()
        common = (predicted * target).sum(dim=(0, 2, 3))
        dice = 2 * common / (predicted.sum(dim=(0, 2, 3)) + target.sum(dim=(0, 2, 3)))  # origin
        return 1 - dice.mean()

    return train(net, loss)


@program(
    "PowBackward0",
    "backward",
    "power of 0, times 0",
    rules=("GD501", "GD503"),
    source="focal losses",
)
def focal_loss_of_sure_answer() -> Trial:
    """Focal loss with gamma 0.5 where the probability is exactly 1: a product with 0."""
    net = nn.Linear(4, 3)
    x = 300 * torch.randn(8, 4)
    with torch.no_grad():
        y = net(x).argmax(-1)

    def loss() -> Tensor:
        log_p = F.log_softmax(net(x), dim=-1).gather(1, y[:, None])
        focus = (1 - log_p.exp()) ** 0.5  # origin
        return -(focus * log_p).mean()

    return train(net, loss)


@program("LogBackward0", "forward", "log of 0", source="KL of an approximate posterior")
def kl_of_disjoint_distributions() -> Trial:
    """``kl_div(q.log(), p)`` where q has exact zeros."""
    net = nn.Linear(4, 3)
    x = 400 * torch.randn(8, 4)
    p = torch.full((8, 3), 1 / 3)

    def loss() -> Tensor:
        q = net(x).softmax(-1)
        return F.kl_div(q.log(), p, reduction="batchmean")  # origin

    return train(net, loss)


@program("CtcLossBackward0", "forward", "no alignment", source="pytorch CTCLoss: zero_infinity")
def ctc_target_too_long() -> Trial:
    """CTC loss of a target longer than its input."""
    net = nn.Linear(4, 5)
    x = torch.randn(6, 2, 4)
    targets = torch.randint(1, 5, (2, 8))

    def loss() -> Tensor:
        logs = net(x).log_softmax(-1)
        lengths = torch.tensor([6, 6])
        return F.ctc_loss(logs, targets, lengths, torch.tensor([3, 8]), reduction="sum")  # origin

    return train(net, loss)


@program("ExpBackward0", "forward", "overflow", source="Poisson regression")
def poisson_of_large_rate() -> Trial:
    """Poisson loss of a log-rate above 88: the exp is inside torch."""
    net = nn.Linear(4, 1)
    x = 500 * torch.randn(8, 4)
    counts = torch.randint(5, (8, 1)).float()

    def loss() -> Tensor:
        return F.poisson_nll_loss(net(x), counts)  # origin

    return train(net, loss)


@program("LogBackward0", "forward", "log of 0", source="policy gradients: a collapsed standard deviation")
def gaussian_of_collapsed_scale() -> Trial:
    """Log-likelihood by hand, with a softplus scale that underflows to 0."""
    net = nn.Linear(4, 2)
    x = torch.randn(8, 4)
    with torch.no_grad():
        net.bias[1] = -200.0

    def loss() -> Tensor:
        mean, raw = net(x).unbind(-1)
        scale = F.softplus(raw)
        logs = scale.log()  # origin
        return (logs + 0.5 * ((x[:, 0] - mean) / (scale + 1e-12)) ** 2).mean()

    return train(net, loss)


@program("MseLossBackward0", "forward", "overflow", rules=("GD512",), source="regression on raw units")
def square_of_raw_units() -> Trial:
    """Squared error on targets of 1e20: the loss is inf, the gradients are fine."""
    net = nn.Linear(4, 1)
    x = torch.randn(8, 4)
    y = 1e20 * torch.randn(8, 1)

    def loss() -> Tensor:
        return F.mse_loss(net(x), y)  # origin

    return train(net, loss)


@program("SqrtBackward0", "backward", "sqrt of 0", source="gradient penalties by hand")
def gradient_penalty_of_flat_critic() -> Trial:
    """WGAN-GP by hand, the critic being flat: the root sits in the graph of a gradient."""
    critic = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    with torch.no_grad():
        critic[0].bias.fill_(-100.0)
    x = torch.randn(8, 4)

    def loss() -> Tensor:
        sample = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(critic(sample).sum(), sample, create_graph=True)
        norm = slope.square().sum(-1).sqrt()  # origin
        return (norm - 1).square().mean()

    return train(critic, loss)


@program("DivBackward0", "backward", "masked branch", rules=("GD503", "GD501"), source="pytorch#108618")
def iou_of_degenerate_boxes() -> Trial:
    """IoU of boxes without an area, dropped by ``where``."""
    boxes = nn.Parameter(torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 0.5, 0.5]]))
    target = torch.tensor([[0.0, 0.0, 1.0, 2.0], [0.5, 0.5, 0.5, 0.5]])

    def area(box: Tensor) -> Tensor:
        return (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])

    def loss() -> Tensor:
        low = torch.maximum(boxes[:, :2], target[:, :2])
        high = torch.minimum(boxes[:, 2:], target[:, 2:])
        common = (high - low).prod(-1)
        union = area(boxes) + area(target) - common
        iou = common / union  # origin
        return 1 - torch.where(union > 0, iou, 0.0).sum()

    return train([boxes], loss)
