"""GD605: the norm overflows, and the clip turns every gradient to zero.

Seen in: sums of squares of targets in raw units
Parameters: 0.weight, 0.bias, 2.weight, 2.bias
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
for step in range(8):
    x = torch.randn(16, 4)
    y = x.sum(1, keepdim=True)
    if step == 4:
        y = y * 1e22
    optimizer.zero_grad()
    (model(x) - y).abs().mul(1e20 if step == 4 else 1.0).mean().backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # clip
    optimizer.step()  # step
