"""Right: the scale probes upwards, overflows, and the schedule waits.

Pattern: growing scale
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
optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**14, growth_interval=1)
schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
for _ in range(24):
    x, y = batch()
    optimizer.zero_grad()
    scaler.scale(loss_of(model, x, y)).backward()
    scaler.step(optimizer)
    before = scaler.get_scale()
    scaler.update()
    if scaler.get_scale() >= before:
        schedule.step()
