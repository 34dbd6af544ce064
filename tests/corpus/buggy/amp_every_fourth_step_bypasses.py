"""GD403: the accumulation branch calls the optimizer, the other one the scaler.

Seen in: nerfacc#307
Parameters: 0.bias, 0.weight, 2.bias, 2.weight, 4.bias, 4.weight
"""

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
    scaler.scale(loss).backward()  # backward
    if number % 4 == 3:
        optimizer.step()  # step
    else:
        scaler.step(optimizer)
        scaler.update()
    optimizer.zero_grad()
