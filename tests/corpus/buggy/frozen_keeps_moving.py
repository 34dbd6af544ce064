"""GD108: a layer frozen in mid-training is moved on by momentum.

Seen in: https://github.com/iamwangyabin/S-Prompts/pull/2
Parameters: 0.bias, 0.weight
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
for i in range(6):
    x, y = batch()
    optimizer.zero_grad(set_to_none=False)
    if i == 3:
        model[0].requires_grad_(False)
    F.cross_entropy(model(x), y).backward()
    optimizer.step()  # step
