"""GD510: the mask of the second term is empty in every batch.

Seen in: a mask that compares labels of the wrong data type, so that it is empty
Parameters: other.bias, other.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
body, head, other = nn.Linear(4, 16), nn.Linear(16, 2), nn.Linear(16, 3)
model = nn.ModuleDict({"body": body, "head": head, "other": other})
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(30):
    x, y = torch.randn(16, 4), torch.randint(2, (16,))
    hidden = body(x).relu()
    mask = (y > 1).float()
    loss = F.cross_entropy(head(hidden), y) + (mask * other(hidden).square().sum(1)).mean()
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
