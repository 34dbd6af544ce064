"""Right: momentum is kept in `.grad`, which is scaled in place instead of cleared.

Pattern: gradient as memory
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(12):
    x = torch.randn(16, 5)
    (model(x) - x.sum(1, keepdim=True)).square().mean().backward()
    optimizer.step()
    for p in model.parameters():
        p.grad.mul_(0.9)
