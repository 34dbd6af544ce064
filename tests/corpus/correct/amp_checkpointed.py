"""Right: reentrant checkpoints under a scaler.

Pattern: checkpointing
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


model = net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
from torch.utils.checkpoint import checkpoint

for reentrant in (True, False, True, False):
    x, y = batch()
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16):
        hidden = checkpoint(model, x.requires_grad_(), use_reentrant=reentrant)
        loss = F.cross_entropy(hidden, y)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
