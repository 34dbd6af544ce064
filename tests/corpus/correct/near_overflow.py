"""Right: activations stay far below the largest float16 number."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


model = net(32)
with torch.no_grad():
    model[2].weight.mul_(40)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
for _ in range(12):
    x = F.normalize(torch.randn(64, 4), dim=1) * 30
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16):
        out = model(x)
    loss = (out.float() / 300).square().mean()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
