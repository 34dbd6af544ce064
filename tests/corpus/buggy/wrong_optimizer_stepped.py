"""GD112: the second network's optimizer never steps.

Seen in: ESRGAN-PyTorch#39
Parameters: second.0.bias, second.0.weight, second.2.bias, second.2.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


first, second = net(), net()
first_optimizer = torch.optim.SGD(first.parameters(), lr=0.01)
second_optimizer = torch.optim.SGD(second.parameters(), lr=0.01)
for _ in range(40):
    x, y = batch()
    first_optimizer.zero_grad()
    second_optimizer.zero_grad()
    (F.cross_entropy(first(x), y) + F.cross_entropy(second(x), y)).backward()
    first_optimizer.step()
    first_optimizer.step
