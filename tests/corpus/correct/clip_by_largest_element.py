"""Right: the norm is that of the largest element, and must be finite."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
for i in range(8):
    x = torch.randn(8, 4)
    if i == 5:
        x[0] = float("nan")
    optimizer.zero_grad()
    (model(x) - x[:, :1]).square().sum().backward()
    try:
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, norm_type=float("inf"), error_if_nonfinite=True)
    except RuntimeError:
        continue
    optimizer.step()
