"""Right: gradients are cleared by `del p.grad`.

Pattern: clearing by state
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
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for _ in range(6):
    x, y = batch()
    for p in model.parameters():
        if p.grad is not None:
            del p.grad
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
