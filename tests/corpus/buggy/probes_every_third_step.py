"""GD414: the scale grows every third step, so every fourth one is skipped.

Seen in: https://github.com/princeton-vl/RAFT/issues/104
Parameters: 0.bias, 0.weight, 2.bias, 2.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
flow = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 2, 3, padding=1))
optimizer = torch.optim.AdamW(flow.parameters(), lr=1e-4)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**18, growth_interval=3)
for _ in range(24):
    frames = torch.randn(2, 2, 10, 10)
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16):
        loss = F.l1_loss(flow(frames), frames.flip(1), reduction="sum") / 40
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
    scaler.step(optimizer)  # step
    scaler.update()
