"""GD610: the schedule moves with each micro-batch.

Seen in: loops to which accumulation was added later
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, 2))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)
for i in range(1, 21):
    x, y = torch.randn(8, 4), torch.randint(2, (8,))
    (F.cross_entropy(model(x), y) / 4).backward()
    if i % 4 == 0:
        optimizer.step()  # step
        optimizer.zero_grad()
    scheduler.step()  # schedule
