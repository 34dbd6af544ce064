"""GD409 GD502: a NaN of forward, which the scaler takes for an overflow of its own.

Seen in: https://github.com/NVIDIA/apex/issues/834
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


model = net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu")
for i in range(12):
    x, y = batch()
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16):
        logits = model(x)
    loss = F.cross_entropy(torch.sqrt(logits.float() - 100), y)
    scaler.scale(loss).backward()
    scaler.step(optimizer)  # step
    scaler.update()
