"""GD201: the backbone collects gradients that nothing clears.

Seen in: img2img-turbo#56
Parameters: 0.bias, 0.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


backbone, head = nn.Linear(4, 8), nn.Linear(8, 2)
model = nn.Sequential(backbone, nn.ReLU(), head)
optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
for _ in range(6):
    x, y = batch()
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()  # backward
    optimizer.step()
