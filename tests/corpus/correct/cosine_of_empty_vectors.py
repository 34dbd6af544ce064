"""Right: only vectors with something in them are compared."""

import torch
from torch import nn

torch.manual_seed(0)
table = nn.Parameter(torch.randn(8, 4))
with torch.no_grad():
    table[0] = 0
optimizer = torch.optim.Adam([table], lr=1e-3)
for _ in range(4):
    left, right = table[torch.tensor([4, 3, 5])], table[torch.tensor([1, 2, 6])]
    length = left.norm(dim=-1) + 1e-9
    cosine = (left / length.unsqueeze(-1) * right).sum(-1)
    loss = (1 - cosine).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
