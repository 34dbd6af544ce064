"""Right: cleared inside of the batch loop."""

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
    for _ in range(4):
        optimizer.zero_grad()
        x, y = batch()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
