"""GD502: a batch that was loaded with NaN in it.

Seen in: missing values of a table loaded as NaN
Parameters: 0.bias, 0.weight, 2.bias, 2.weight
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters())
batches = [torch.randn(16, 4) for _ in range(6)]
batches[3][5, 2] = float("nan")

for x in batches:
    out = model(x)  # forward_op
    loss = ((out - 1) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
