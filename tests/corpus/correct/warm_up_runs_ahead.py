"""Right: the warm-up waits for the scale."""

import warnings

import torch
from torch import nn

warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=8)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**22)
for _ in range(14):
    x = torch.randn(16, 6)
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16):
        loss = nn.functional.mse_loss(model(x), x.sum(1, keepdim=True))
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    before = scaler.get_scale()
    scaler.update()
    if scaler.get_scale() >= before:
        warm_up.step()
