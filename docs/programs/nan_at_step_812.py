"""Pairs of points are drawn at random, and those of the same kind are pulled together."""

import torch
from torch import nn

torch.manual_seed(0)
kinds = torch.randint(10, (1500,))
points = torch.randn(10, 16)[kinds] + 0.5 * torch.randn(1500, 16)
embed = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 8))
optimizer = torch.optim.SGD(embed.parameters(), lr=0.05)

torch.manual_seed(2163)
for _ in range(820):
    left, right = torch.randint(len(points), (2, 4))
    distance = (embed(points[left]) - embed(points[right])).square().sum(dim=1).sqrt()
    alike = kinds[left] == kinds[right]
    loss = torch.where(alike, distance, (1 - distance).relu()).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
