"""GD408: the whole model was cast with .half(), as for inference.

Seen in: https://github.com/Lightning-AI/pytorch-lightning/issues/5140
Raises: ValueError
Parameters: first.bias, first.weight, second.bias, second.weight
"""

import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(12, 12)
        self.second = nn.Linear(12, 5)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


torch.manual_seed(0)
net = Net().half()
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
for _ in range(3):
    x, y = torch.randn(8, 12), torch.randint(5, (8,))
    with torch.autocast("cpu", torch.float16):
        loss = F.cross_entropy(net(x), y)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
