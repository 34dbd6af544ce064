"""GD309: weights are clamped by hand between a forward and its backward.

Seen in: weight clipping of WGANs, moved in front of the backward
Raises: RuntimeError
Parameters: 2.weight
"""

import torch
from torch import nn

torch.manual_seed(0)

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(3):
    loss = model(torch.randn(6, 4)).mean()
    optimizer.zero_grad()
    with torch.no_grad():
        for p in model.parameters():
            p.clamp_(-0.5, 0.5)
    loss.backward()  # backward
    optimizer.step()
