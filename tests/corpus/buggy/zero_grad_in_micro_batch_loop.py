"""GD102: each micro-batch clears what the last one wrote.

Seen in: https://github.com/bytetriper/RAE/issues/67
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
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(5):
    for _ in range(4):
        optimizer.zero_grad()  # zero_grad
        x, y = batch()
        (F.cross_entropy(model(x), y) / 4).backward()  # backward
    optimizer.step()
