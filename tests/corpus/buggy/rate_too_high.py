"""GD507: each step overshoots further than the one before.

Seen in: gradient descent beyond 2 / curvature
Parameters: bias, weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1.2)
true = torch.randn(8, 1)
for _ in range(40):
    x = torch.randn(32, 8)
    optimizer.zero_grad()
    F.mse_loss(model(x), x @ true).backward()  # backward
    optimizer.step()  # step
