"""Right: error codes are left out."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
weights = torch.randn(6, 1)
for number in range(150):
    x = torch.randn(16, 6)
    temperature = torch.tanh(x @ weights)
    if number == 110:
        temperature[3] = 99999.0
    known = temperature[:, 0] < 1000
    x, temperature = x[known], temperature[known]
    loss = (net(x) - temperature).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
