"""GD509: one batch with targets in another unit undoes the training.

Seen in: batches with targets in another unit, after two data sets were merged
Parameters: 0.bias, 0.weight, 2.bias, 2.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), 1e-2)
true = torch.randn(8, 1)
for step in range(140):
    x = torch.randn(32, 8)
    y = x @ true * (1000 if step == 100 else 1)
    optimizer.zero_grad()
    F.mse_loss(model(x), y).backward()  # backward
    optimizer.step()  # step
