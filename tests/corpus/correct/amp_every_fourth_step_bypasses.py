"""Right: both branches step by the scaler."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
field = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
optimizer = torch.optim.Adam(field.parameters(), lr=1e-3, eps=1e-15)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
for number in range(8):
    rays, colours = torch.rand(24, 3), torch.rand(24, 4)
    with torch.autocast("cpu", torch.float16):
        loss = F.mse_loss(field(rays), colours)
    scaler.scale(loss).backward()
    if number % 4 == 3:
        scaler.step(optimizer)
    else:
        scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
