"""GD101: zero_grad stands outside the batch loop.

Seen in: https://github.com/pytorch/pytorch/issues/47175
Parameters: 0.bias, 0.weight, 2.bias, 2.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


model = net()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
for _ in range(3):
    optimizer.zero_grad()
    for _ in range(4):
        x, y = batch()
        F.cross_entropy(model(x), y).backward()  # backward
        optimizer.step()  # step
