"""Right: a regulariser is added to the loss with its graph."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)


def l1(model):
    return sum(parameter.abs().sum() for parameter in model.parameters())


for _ in range(12):
    x, y = torch.randn(8, 6), torch.randint(3, (8,))
    optimizer.zero_grad()
    penalty = l1(model)
    loss = F.cross_entropy(model(x), y) + 0.01 * penalty
    loss.backward()
    optimizer.step()
