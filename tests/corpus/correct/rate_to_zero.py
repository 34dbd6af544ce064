"""Right: a learning rate that begins at zero, rises, and falls to zero again: its first and last steps move nothing."""

import math

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
STEPS, WARM_UP = 60, 15


def factor(step):
    if step < WARM_UP:
        return step / WARM_UP
    return max(0.0, math.cos(math.pi / 2 * (step - WARM_UP) / (STEPS - WARM_UP - 10)))


model = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4)).bfloat16()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
for _ in range(STEPS):
    x, y = torch.randn(16, 8, dtype=torch.bfloat16), torch.randint(4, (16,))
    optimizer.zero_grad()
    F.cross_entropy(model(x).float(), y).backward()
    optimizer.step()
    schedule.step()
