"""Right: loss weights are free parameters in the optimizer.

Pattern: learned loss weights
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
log_vars = nn.Parameter(torch.zeros(2))
optimizer = torch.optim.Adam([*model.parameters(), log_vars], lr=1e-2)
for _ in range(6):
    x, y = batch()
    optimizer.zero_grad()
    out = model(x)
    losses = torch.stack([F.cross_entropy(out, y), out.pow(2).mean()])
    (losses * (-log_vars).exp() + log_vars).sum().backward()
    optimizer.step()
