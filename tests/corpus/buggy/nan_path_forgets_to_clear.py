"""GD111: the path that skips a NaN step does not clear.

Seen in: https://github.com/espnet/espnet/pull/3283
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
for i in range(8):
    x, y = batch()
    if i == 4:
        x = x * float("nan")
    F.cross_entropy(model(x), y).backward()  # backward
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    if torch.isfinite(norm):
        optimizer.step()
        optimizer.zero_grad()
