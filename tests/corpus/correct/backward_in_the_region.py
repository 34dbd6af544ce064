"""Right: the region ends with the loss."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(5, 9), nn.SiLU(), nn.Linear(9, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for _ in range(5):
    x, y = torch.randn(7, 5), torch.randint(2, (7,))
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
