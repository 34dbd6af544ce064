"""Right: targets are prices in their own unit, so that the squared error's slope is in the millions; Adam does not mind.

Pattern: targets in large units
"""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
for _ in range(20):
    rooms = torch.rand(16, 6)
    price = 900_000 * rooms.sum(1, keepdim=True) + 1_000_000
    loss = (net(rooms) - price).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
