"""GD511: a rate that was divided by the number of samples twice, of a model that never gets anywhere.

Seen in: a rate scaled by batch size twice, once in the schedule and once in the trainer
Parameters: 0.weight, 3.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 4))
optimizer = torch.optim.SGD(net.parameters(), lr=1e-10)
for _ in range(70):
    x = torch.randn(12, 8)
    optimizer.zero_grad()
    loss = F.cross_entropy(net(x), x[:, :4].argmax(1))
    loss.backward()  # backward
    optimizer.step()  # step
