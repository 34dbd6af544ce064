"""Right: stop-gradient targets from a momentum encoder.

Pattern: stop-gradient
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

online, predictor = net(), nn.Linear(2, 2)
target = copy.deepcopy(online)
optimizer = torch.optim.SGD([*online.parameters(), *predictor.parameters()], lr=0.05)
for _ in range(6):
    x, _ = batch()
    goal = target(x + 0.1 * torch.randn_like(x)).detach()
    loss = -F.cosine_similarity(predictor(online(x)), goal).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for t, o in zip(target.parameters(), online.parameters()):
            t.lerp_(o, 0.1)
