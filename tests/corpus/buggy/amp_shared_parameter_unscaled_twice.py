"""GD413: the encoder is in two optimizers.

Seen in: two optimizers that share an encoder, as in GANs with one; GradScaler's notes say unscale_ at most
once
Parameters: 0.bias, 0.weight
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
shared = torch.optim.SGD(model[0].parameters(), lr=0.01)
for _ in range(6):
    x, y = batch()
    optimizer.zero_grad()
    shared.zero_grad()
    scaler.scale(loss_of(model, x, y)).backward()
    scaler.unscale_(optimizer)  # first_unscale
    scaler.unscale_(shared)  # unscale
    scaler.step(optimizer)  # step
    scaler.step(shared)
    scaler.update()
