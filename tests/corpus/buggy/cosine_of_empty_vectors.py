"""GD504: the cosine of a padding vector of zeros.

Seen in: pytorch#184575
Parameters: optimizer.params[0]
"""

import torch
from torch import nn

torch.manual_seed(0)
table = nn.Parameter(torch.randn(8, 4))
with torch.no_grad():
    table[0] = 0
optimizer = torch.optim.Adam([table], lr=1e-3)
for _ in range(4):
    left, right = table[torch.tensor([0, 3, 5])], table[torch.tensor([1, 2, 6])]
    length = left.norm(dim=-1) + 1e-9
    cosine = (left / length.unsqueeze(-1) * right).sum(-1)  # forward_op
    loss = (1 - cosine).mean()
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
