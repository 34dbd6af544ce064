"""GD313: one autocast region around the whole training.

Seen in: Flow-Factory PR#186, apex PR#132
Parameters: 0.weight, 0.bias, 2.weight, 2.bias
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Linear(16, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
data = [(torch.randn(8, 6), torch.randn(8, 1)) for _ in range(6)]

with torch.autocast("cpu", dtype=torch.bfloat16):
    for x, y in data:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()  # backward
        optimizer.step()  # step
