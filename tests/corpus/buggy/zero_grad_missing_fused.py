"""GD101: zero_grad is missing, with a fused optimizer that bumps no version.

Seen in: https://github.com/udacity/deep-learning-v2-pytorch/pull/160
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
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, fused=True)
for _ in range(4):
    x, y = batch()
    F.cross_entropy(model(x), y).backward()  # backward
    optimizer.step()  # step
