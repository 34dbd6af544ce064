"""GD404: unscale_() for each micro-batch.

Seen in: https://github.com/microsoft/Swin-Transformer/issues/311
Raises: RuntimeError
Parameters: 0.bias, 0.weight, 2.bias, 2.weight
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
for _ in range(3):
    optimizer.zero_grad()
    for _ in range(2):
        x, y = batch()
        scaler.scale(loss_of(model, x, y) / 2).backward()
        scaler.unscale_(optimizer)  # unscale
    scaler.step(optimizer)
    scaler.update()
