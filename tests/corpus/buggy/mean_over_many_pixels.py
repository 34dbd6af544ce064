"""GD415: a mean over many pixels and a scale of 1 leave gradients that float16 cannot hold.

Seen in: a scaler made with init_scale=1 to end overflows, as in advice for NVIDIA/apex#318
"""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 1, 3, padding=1))
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=1.0, growth_interval=10_000)
for _ in range(14):
    picture = torch.rand(2, 1, 32, 32)
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16):
        restored = net(picture)
    loss = 1e-3 * nn.functional.mse_loss(restored.float(), picture)
    scaler.scale(loss).backward()  # backward
    scaler.step(optimizer)
    scaler.update()
