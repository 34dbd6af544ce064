"""GD501: the distance of a pair of equal points, by a square root.

Seen in: https://github.com/pytorch/pytorch/issues/2421
Parameters: weight
"""

import torch
from torch import nn

torch.manual_seed(0)
embed = nn.Embedding(10, 4)
optimizer = torch.optim.SGD(embed.parameters(), lr=0.1)
pairs = torch.tensor([[1, 2], [3, 4], [5, 5]])

for _ in range(4):
    a, b = embed(pairs[:, 0]), embed(pairs[:, 1])
    distance = ((a - b) ** 2).sum(-1).sqrt()  # forward_op
    loss = distance.mean()
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
