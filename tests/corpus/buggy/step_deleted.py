"""GD112: the line with the step is gone.

Seen in: a step lost in an edit
Parameters: 0.bias, 0.weight, 2.bias, 2.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(24):
    x, y = torch.randn(6, 4), torch.randint(2, (6,))
    optimizer.zero_grad()  # zero_grad
    F.cross_entropy(model(x), y).backward()  # backward
