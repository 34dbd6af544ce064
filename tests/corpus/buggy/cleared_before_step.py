"""GD103: zero_grad stands between backward and step.

Seen in: zero_grad moved by a merge; pytorch-i3d#57 has it at a change of phase
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
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
for _ in range(4):
    x, y = batch()
    loss = F.cross_entropy(model(x), y)
    loss.backward()  # backward
    optimizer.zero_grad()  # zero_grad
    optimizer.step()  # step
