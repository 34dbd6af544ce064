"""Right: the first gradients are a thousand times as large as later ones; each is clipped.

Pattern: huge first steps
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 1))
nn.init.normal_(model[2].weight, std=30.0)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
for _ in range(60):
    x = torch.randn(32, 6)
    optimizer.zero_grad()
    (model(x) - x.sum(1, keepdim=True)).abs().mean().backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
