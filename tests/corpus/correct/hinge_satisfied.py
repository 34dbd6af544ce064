"""Right: the margin is kept by every sample, so no gradient is left to follow.

Pattern: exact zeros
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), 5e-2)
x = torch.randn(16, 4)
y = (x[:, 0] > 0).float() * 2 - 1
for _ in range(150):
    loss = (1 - y * model(x)[:, 0]).relu().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
