"""GD505: gradients divided by a count that is 0, between backward and step.

Seen in: loss sums divided by the number of valid targets, of which a shard had none
Parameters: bias, weight
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, valid = torch.randn(8, 4), torch.zeros(8)

for _ in range(3):
    loss = (model(x).squeeze(-1) * valid).sum()
    optimizer.zero_grad()
    loss.backward()  # backward
    for parameter in model.parameters():
        parameter.grad /= valid.sum()
    optimizer.step()  # step
