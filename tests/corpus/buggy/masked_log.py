"""GD503: a mask after the logarithm instead of before it.

Seen in: https://github.com/pytorch/pytorch/issues/108618
Parameters: bias, weight
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 4)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, counts = torch.randn(16, 4), torch.randint(3, (16, 4)).float()

for _ in range(4):
    rate = counts * model(x).exp()
    logs = torch.log(rate)  # forward_op
    loss = torch.where(rate > 0, logs, torch.zeros_like(rate)).sum()
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
