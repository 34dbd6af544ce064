"""Right: a group whose learning rate is zero stands still, as it is meant to, and the other one learns."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
backbone, head = nn.Sequential(nn.Linear(6, 8), nn.ReLU()), nn.Linear(8, 3)
optimizer = torch.optim.SGD(
    [{"params": backbone.parameters(), "lr": 0.0}, {"params": head.parameters()}], lr=0.1
)
for _ in range(12):
    x, y = torch.randn(8, 6), torch.randint(3, (8,))
    optimizer.zero_grad()
    F.cross_entropy(head(backbone(x)), y).backward()
    optimizer.step()
