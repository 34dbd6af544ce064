"""Right: sparse gradients and a sparse optimizer beside a dense one."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


embed, head = nn.Embedding(2000, 4, sparse=True), nn.Linear(4, 2)
sparse_optimizer = torch.optim.SparseAdam(embed.parameters(), lr=1e-2)
dense_optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
for _ in range(5):
    tokens, y = torch.randint(2000, (6,)), torch.randint(2, (6,))
    sparse_optimizer.zero_grad()
    dense_optimizer.zero_grad()
    F.cross_entropy(head(embed(tokens)), y).backward()
    sparse_optimizer.step()
    dense_optimizer.step()
