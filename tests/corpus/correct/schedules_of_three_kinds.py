"""Right: a warm-up moves with each step, a decay with each epoch, and a plateau is told the loss."""

import torch
from torch import nn
from torch.optim import lr_scheduler

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
warm_up = lr_scheduler.LinearLR(optimizer, 0.1, total_iters=6)
decay = lr_scheduler.StepLR(optimizer, step_size=2)
plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
for _ in range(4):
    losses = []
    for _ in range(5):
        x = torch.randn(8, 4)
        loss = (model(x) - x[:, :1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), 1.0)
        optimizer.step()
        warm_up.step()
        losses.append(loss.item())
    decay.step()
    plateau.step(sum(losses))
