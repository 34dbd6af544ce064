"""GD411: an activation comes close to the largest float16 number.

Seen in: https://github.com/huggingface/transformers/issues/5651
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


model = net(32)
with torch.no_grad():
    model[2].weight.mul_(4000)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
for _ in range(12):
    x = F.normalize(torch.randn(64, 4), dim=1) * 30
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16):
        out = model(x)
    loss = (out.float() / 30000).square().mean()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
