"""Right: the loss jumps about, and comes down."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.4)
true = torch.randn(8, 1)
for _ in range(60):
    x = torch.randn(32, 8)
    optimizer.zero_grad()
    F.mse_loss(model(x), x @ true).backward()
    optimizer.step()
