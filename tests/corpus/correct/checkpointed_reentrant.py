"""Right: reentrant checkpointing recomputes inside backward.

Pattern: checkpointing
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


from torch.utils.checkpoint import checkpoint

first, middle, last = nn.Linear(4, 8), nn.Sequential(nn.Linear(8, 8), nn.ReLU()), nn.Linear(8, 2)
optimizer = torch.optim.SGD([*first.parameters(), *middle.parameters(), *last.parameters()], lr=0.1)
for _ in range(5):
    x, y = batch()
    optimizer.zero_grad()
    hidden = checkpoint(middle, first(x), use_reentrant=True)
    F.cross_entropy(last(hidden), y).backward()
    optimizer.step()
