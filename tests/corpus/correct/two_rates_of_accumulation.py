"""Right: the embedding steps every fourth batch, the rest every batch."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


embed, head = nn.Embedding(10, 4), nn.Linear(4, 2)
fast = torch.optim.SGD(head.parameters(), lr=0.1)
slow = torch.optim.SGD(embed.parameters(), lr=0.1)
for i in range(16):
    tokens, y = torch.randint(10, (6,)), torch.randint(2, (6,))
    fast.zero_grad()
    F.cross_entropy(head(embed(tokens)), y).backward()
    fast.step()
    if i % 4 == 3:
        slow.step()
        slow.zero_grad()
