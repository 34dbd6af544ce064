"""Right: an autocast region for each forward and its loss; that of the evaluation spans a loop, without steps."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Linear(16, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
data = [(torch.randn(8, 6), torch.randn(8, 1)) for _ in range(6)]

for x, y in data:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()

with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
    for x, y in data:
        nn.functional.mse_loss(model(x), y)
