"""GD501: a root of attention weights, some of which a mask has made 0.

Seen in: https://github.com/pytorch/pytorch/issues/4320 and other roots at 0
Parameters: embed.weight, score.bias, score.weight
"""

import torch
from torch import nn

torch.manual_seed(0)
embed, score = nn.Embedding(15, 6), nn.Linear(6, 1)
optimizer = torch.optim.Adam([*embed.parameters(), *score.parameters()], lr=1e-3)
for _ in range(3):
    tokens = torch.randint(1, 15, (4, 5))
    tokens[0, 3:] = 0
    hidden = embed(tokens)
    weights = score(hidden).squeeze(-1).masked_fill(tokens == 0, -1e9).softmax(-1)
    sharp = weights**0.5  # forward_op
    loss = (sharp.unsqueeze(-1) * hidden).sum(1).square().mean()
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
