"""Right: the gradient of each sample is clipped before they are summed, as private training does."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(6):
    sums = [torch.zeros_like(p) for p in model.parameters()]
    x, y = torch.randn(5, 4), torch.randint(2, (5,))
    for i in range(len(x)):
        optimizer.zero_grad()
        F.cross_entropy(model(x[i : i + 1]), y[i : i + 1]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        for total, p in zip(sums, model.parameters(), strict=True):
            total += p.grad
    for total, p in zip(sums, model.parameters(), strict=True):
        p.grad = (total + 0.1 * torch.randn_like(total)) / len(x)
    optimizer.step()
