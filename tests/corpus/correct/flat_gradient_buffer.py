"""Right: gradients are views of one buffer, cleared as one.

Pattern: flat gradient buffer
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
params = list(model.parameters())
buffer = torch.zeros(sum(p.numel() for p in params))
start = 0
for p in params:
    p.grad = buffer[start : start + p.numel()].view_as(p)
    start += p.numel()
optimizer = torch.optim.SGD(params, lr=0.1)
for _ in range(6):
    x, y = batch()
    buffer.zero_()
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
