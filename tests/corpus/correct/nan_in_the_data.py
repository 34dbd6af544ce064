"""Right: a batch with NaN in it is dropped before it reaches the model; another one is skipped by its loss."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters())
batches = [torch.randn(16, 4) for _ in range(6)]
batches[3][5, 2] = float("nan")

for number, x in enumerate(batches):
    if number > 3 and not torch.isfinite(x).all():
        continue
    loss = ((model(x) - 1) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    if torch.isfinite(loss):
        optimizer.step()
optimizer.zero_grad()
