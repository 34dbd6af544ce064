"""GD505: noise for privacy, whose size was computed from a norm of 0, is added to healthy gradients.

Seen in: https://github.com/kozistr/pytorch_optimizer/pull/431
Parameters: 0.bias, 0.weight
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
nn.init.zeros_(model[2].weight)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(3):
    loss = (model(torch.randn(9, 4)) - 1).square().mean()
    optimizer.zero_grad()
    loss.backward()  # backward
    for p in model.parameters():
        p.grad.div_(p.grad.norm())
    optimizer.step()  # step
