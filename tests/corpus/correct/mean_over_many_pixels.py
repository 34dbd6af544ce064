"""Right: the default scale."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 1, 3, padding=1))
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler("cpu")
for _ in range(14):
    picture = torch.rand(2, 1, 32, 32)
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16):
        restored = net(picture)
    loss = 1e-3 * nn.functional.mse_loss(restored.float(), picture)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
