"""Right: each batch trains one of two heads, all optimizers step."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


body, heads = nn.Linear(4, 8), [nn.Linear(8, 2), nn.Linear(8, 3)]
optimizers = [torch.optim.Adam(m.parameters(), lr=1e-3) for m in (body, *heads)]
for i in range(12):
    x, _ = batch()
    head = heads[i % 2]
    out = head(F.relu(body(x)))
    for optimizer in optimizers:
        optimizer.zero_grad()
    F.cross_entropy(out, torch.randint(2, (6,))).backward()
    for optimizer in optimizers:
        optimizer.step()
