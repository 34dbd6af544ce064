"""Right: a multiplier that the program moves itself, through `.data`, beside an optimizer for the rest.

Pattern: no optimizer
"""

import torch
from torch import nn


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(5, 3)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.net(x) * self.scale


torch.manual_seed(0)
model = Scaled()
optimizer = torch.optim.Adam(model.net.parameters(), 1e-2)
for _ in range(12):
    x, y = torch.randn(8, 5), torch.randint(3, (8,))
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
    model.scale.data -= 0.01 * model.scale.grad
    model.scale.grad = None
