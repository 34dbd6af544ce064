"""Right: accumulation over as many micro-batches as there happen to be.

Pattern: varying accumulation
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
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for n in [1, 3, 2, 5, 1, 4, 2, 2]:
    optimizer.zero_grad()
    for _ in range(n):
        x, y = batch()
        (F.cross_entropy(model(x), y) / n).backward()
    optimizer.step()
