"""GD203: experts in a plain dict are registered nowhere, whatever the optimizer is given.

Seen in: https://github.com/pytorch/pytorch/issues/632
Parameters: experts*
"""

import torch
from torch import nn


class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(6, 2)
        self.experts = {name: nn.Linear(6, 4) for name in ("left", "right")}

    def forward(self, x):
        weights = self.gate(x).softmax(-1)
        outputs = torch.stack([expert(x) for expert in self.experts.values()], -1)
        return (outputs * weights[:, None]).sum(-1)


torch.manual_seed(0)
mixture = Mixture()
optimizer = torch.optim.RMSprop(mixture.parameters(), lr=1e-3)
for _ in range(6):
    x = torch.randn(16, 6)
    optimizer.zero_grad()
    nn.functional.l1_loss(mixture(x), x[:, :4]).backward()
    optimizer.step()
