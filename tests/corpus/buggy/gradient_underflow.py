"""GD415: the loss scale is too small for gradients this small.

Seen in: a loss scale fixed at 1 because larger ones were thought to be the cause of NaN
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


model = net(32)
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
for _ in range(12):
    x, y = batch()
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16):
        loss = F.cross_entropy(model(x), y) * 1e-5
    scaler.scale(loss).backward()  # backward
    scaler.step(optimizer)
    scaler.update()
