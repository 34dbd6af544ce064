"""GD504: vectors that begin at zero are normalised with a tiny eps.

Seen in: https://github.com/pytorch/pytorch/issues/2421, for a normalisation
Parameters: bias, weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(4, 3)
nn.init.zeros_(model.weight)
nn.init.zeros_(model.bias)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
x, target = torch.randn(8, 4), F.normalize(torch.randn(8, 3), dim=-1)

for _ in range(4):
    unit = F.normalize(model(x), dim=-1)  # forward_op
    loss = -(unit * target).sum(-1).mean()
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
