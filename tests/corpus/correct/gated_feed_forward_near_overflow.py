"""Right: the last layer's weights are as small as its many inputs ask for."""

import torch
from torch import nn
from torch.nn import functional as F


class FeedForward(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.gate, self.up = nn.Linear(width, inner), nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        nn.init.normal_(self.down.weight, std=0.06)

    def forward(self, x):
        return self.down(F.gelu(self.gate(x)) * self.up(x))


torch.manual_seed(0)
block = FeedForward(16, 64)
optimizer = torch.optim.SGD(block.parameters(), lr=1e-8)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
for _ in range(12):
    x = torch.randn(4, 8, 16).clamp(-2.5, 2.5) * 60
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16):
        out = block(x)
    loss = (out.float() / 1000).square().mean()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
