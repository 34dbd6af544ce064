"""GD503: a division by 0 is hidden by where() in the forward only.

Seen in: https://github.com/pytorch/pytorch/issues/187297
Parameters: up.bias, up.weight
"""

import torch
from torch import nn


class Ratio(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Linear(3, 4)
        self.down = nn.Linear(3, 4)

    def forward(self, x):
        up, down = self.up(x), self.down(x).relu()
        ratio = up / down  # forward_op
        return torch.where(down > 0.1, ratio, torch.zeros_like(up))


torch.manual_seed(0)
ratio = Ratio()
optimizer = torch.optim.SGD(ratio.parameters(), lr=1e-4)
for _ in range(4):
    loss = ratio(torch.randn(10, 3)).abs().mean()
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
