"""GD101: zero_grad is never called.

Seen in: https://github.com/tenstorrent/tt-blacksmith/pull/711
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
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for _ in range(6):
    x, y = batch()
    loss = F.cross_entropy(model(x), y)
    loss.backward()  # backward
    optimizer.step()  # step
