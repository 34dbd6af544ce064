"""GD304: evaluation builds graphs that nobody uses.

Seen in: https://github.com/OpenNMT/OpenNMT-py/issues/1141
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
for _ in range(2):
    model.train()
    for _ in range(3):
        x, y = batch()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.eval()
    right = 0
    for _ in range(5):
        x, y = batch()
        right += (model(x).argmax(1) == y).sum().item()  # forward
