"""GD510: a large negative bias turned all units of a layer off.

Seen in: the dying-ReLU problem: a bias initialised or pushed far below zero
Parameters: 0.bias, 0.weight, 2.bias, 2.weight, 4.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))
nn.init.constant_(model[2].bias, -20.0)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(30):
    x = torch.randn(16, 4)
    loss = F.cross_entropy(model(x), (x[:, 0] > 0).long())
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
