"""Right: a target network runs with gradients on, but its output is detached.

Pattern: target network
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


import copy

q = net()
target = copy.deepcopy(q)
optimizer = torch.optim.Adam(q.parameters(), lr=1e-3)
for i in range(12):
    x, y = batch()
    wanted = target(x).max(1).values.detach()
    loss = F.mse_loss(q(x).gather(1, y[:, None])[:, 0], wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if i % 4 == 3:
        target.load_state_dict(q.state_dict())
