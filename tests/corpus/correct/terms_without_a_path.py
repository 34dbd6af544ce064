"""Right: constants, a straight-through loss, terms that another backward trains, and a baseline: none is lost.

Seen in: CORRECT.md 47 and 48
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
body, probe = nn.Linear(6, 4), nn.Linear(4, 2)
optimizer = torch.optim.SGD([*body.parameters(), *probe.parameters()], lr=0.05)
baseline = 0.0
for step in range(12):
    x, y = torch.randn(8, 6), torch.randint(2, (8,))
    features = body(x)
    scores = probe(features.detach())
    optimizer.zero_grad()

    probing = F.cross_entropy(scores, y)
    probing.backward()

    soft = features.sigmoid().mean()
    hard = (features > 0).float().mean()
    through = soft + (hard - soft).detach()
    normalised = features.square().mean() / features.square().mean().detach()
    loss = through + normalised + 1e-6 + x.square().mean() - baseline
    total = loss + probing.detach()
    total.backward()
    baseline = 0.9 * baseline + 0.1 * loss.item()
    optimizer.step()
