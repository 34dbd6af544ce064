"""GD407: the scaler steps the optimizer of another network.

Seen in: https://github.com/SheldonTsui/GOF_NeurIPS2021/issues/2
Raises: AssertionError
Parameters: optimizer_other.*
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
other = net()
optimizer_other = torch.optim.SGD(other.parameters(), lr=0.01)
for _ in range(3):
    x, y = batch()
    optimizer.zero_grad()
    scaler.scale(loss_of(model, x, y)).backward()  # backward
    scaler.step(optimizer_other)  # step
    scaler.update()
