"""Right: the input of the logarithm is made safe first: `where` twice."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 4)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
x, counts = torch.randn(16, 4), torch.randint(3, (16, 4)).float()

for _ in range(4):
    rate = counts * model(x).exp()
    safe = torch.where(rate > 0, rate, torch.ones_like(rate))
    loss = torch.where(rate > 0, torch.log(safe), torch.zeros_like(rate)).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
