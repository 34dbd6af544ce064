"""Right: one scaler for two optimizers, two scalers for two networks.

Pattern: one scaler for several optimizers
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
head = nn.Linear(2, 2)
optimizer_head = torch.optim.Adam(head.parameters(), lr=0.01)
for _ in range(4):
    x, y = batch()
    optimizer.zero_grad()
    optimizer_head.zero_grad()
    scaler.scale(loss_of(nn.Sequential(model, head), x, y)).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.step(optimizer_head)
    scaler.update()
teacher, student = net(), net()
scalers = [torch.amp.GradScaler("cpu", init_scale=2.0**k) for k in (8, 10)]
optimizers = [torch.optim.SGD(m.parameters(), lr=0.01) for m in (teacher, student)]
for _ in range(4):
    for m, opt, s in zip((teacher, student), optimizers, scalers):
        x, y = batch()
        opt.zero_grad()
        s.scale(loss_of(m, x, y)).backward()
        s.step(opt)
        s.update()
