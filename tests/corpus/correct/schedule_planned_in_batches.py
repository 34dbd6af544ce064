"""Right: the schedule is planned in micro-batches, and ends with them."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
batches, accumulate = 20, 2
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.02, total_steps=batches)
for i in range(batches):
    x = torch.randn(8, 4)
    ((model(x) - x[:, :1]).square().mean() / accumulate).backward()
    if (i + 1) % accumulate == 0:
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()
    schedule.step()
