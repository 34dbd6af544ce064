"""Right: clips with an infinite limit, or one far away, read the norm before, during and after."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
norms = []
for i in range(12):
    x = torch.randn(8, 4)
    ((model(x) - x[:, :1]).square().mean() / 3).backward()
    norms.append(nn.utils.clip_grad_norm_(model.parameters(), float("inf")))
    if i % 3 == 2:
        optimizer.step()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), 1e6))
        optimizer.zero_grad()
