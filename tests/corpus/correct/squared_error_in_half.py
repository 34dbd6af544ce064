"""Right: predictions are cast to float32 before the error is squared."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
for _ in range(8):
    x = torch.randn(32, 10)
    target = x.sum(1, keepdim=True)
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16):
        predicted = net(x)
    loss = nn.functional.mse_loss(predicted.float(), target)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
