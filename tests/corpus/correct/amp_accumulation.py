"""Right: accumulation under a scaler, unscale and clip at its end.

Pattern: accumulation
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


def loss_of(model, x, y):
    with torch.autocast("cpu", torch.float16):
        return F.cross_entropy(model(x), y)


model = net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
for _ in range(4):
    optimizer.zero_grad()
    for _ in range(3):
        x, y = batch()
        scaler.scale(loss_of(model, x, y) / 3).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
