"""GD506: gradients beyond 256 in float16, whose square overflows in the optimizer.

Seen in: https://github.com/NVIDIA/apex/issues/240
Parameters: weight
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(6, 1).half()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for number in range(4):
    x = torch.randn(20, 6).half()
    out = model(x).float()
    loss = (out - x.float().sum(1, keepdim=True)).square().sum()
    if number >= 2:
        loss = loss * 40
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()  # step
