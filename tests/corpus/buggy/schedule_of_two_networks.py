"""GD412: two networks under one scaler; the schedule of the one that overflows moves on.

Seen in: https://github.com/kekmodel/MPL-pytorch/issues/38
"""

import warnings

import torch
from torch import nn
from torch.nn import functional as F

warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
torch.manual_seed(0)
student, teacher = nn.Linear(8, 4), nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4))
optimizers = [torch.optim.Adam(net.parameters(), lr=1e-3) for net in (student, teacher)]
schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20) for optimizer in optimizers]
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**21)
for _ in range(12):
    x, y = torch.randn(8, 8), torch.randint(4, (8,))
    with torch.autocast("cpu", torch.float16):
        taught = teacher(x)
        losses = F.cross_entropy(taught, y) + F.cross_entropy(student(x), taught.detach().softmax(-1))
    for optimizer in optimizers:
        optimizer.zero_grad()
    scaler.scale(losses).backward()
    for optimizer in optimizers:
        scaler.step(optimizer)
    scaler.update()
    for schedule in schedules:
        schedule.step()  # schedule
