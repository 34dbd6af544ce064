"""Right: the norm is read by a function that changes nothing, and looked at."""

import math

import torch
from torch import nn

torch.manual_seed(0)


class Poisson(nn.Module):
    def __init__(self):
        super().__init__()
        self.rate = nn.Linear(3, 1)
        self.offset = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.rate(x), self.offset


model = Poisson()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
norms = []
for number in range(6):
    x = torch.rand(8, 3)
    if number == 3:
        x[0] = 500.0
        with torch.no_grad():
            model.rate.weight.abs_()
    log_rate, offset = model(x)
    loss = (log_rate.exp() - log_rate).mean() + offset.square().sum() + offset.sum()
    optimizer.zero_grad()
    loss.backward()
    norms.append(float(nn.utils.get_total_norm([p.grad for p in model.parameters()])))
    if math.isfinite(norms[-1]):
        optimizer.step()
