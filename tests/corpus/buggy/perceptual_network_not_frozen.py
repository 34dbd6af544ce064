"""GD106: the network that measures how images look is not frozen, and collects gradients for nothing.

Seen in: https://github.com/pytorch/examples/tree/main/fast_neural_style, where the loss network is frozen for this
Parameters: *
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def conv(ins, outs):
    return nn.Conv2d(ins, outs, 3, padding=1)


painter = nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 3))
looks = nn.Sequential(conv(3, 6), nn.ReLU(), conv(6, 6), nn.ReLU(), nn.AvgPool2d(2)).eval()

optimizer = torch.optim.Adam(painter.parameters(), lr=1e-3)
for _ in range(6):
    photo = torch.rand(4, 3, 8, 8)
    loss = F.mse_loss(looks(painter(photo)), looks(photo).detach())
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()
