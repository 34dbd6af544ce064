"""GD210: an optimizer of one's own adds with `add` where `add_` is meant: the update goes into a copy.

Parameters: 1.bias, 1.weight, 3.bias, 3.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class SignSGD(torch.optim.Optimizer):
    def __init__(self, params, lr=0.01):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.data.add(p.grad.sign(), alpha=-group["lr"])


model = nn.Sequential(nn.Flatten(), nn.Linear(9, 12), nn.ReLU(), nn.Linear(12, 2))
optimizer = SignSGD(model.parameters())
for _ in range(15):
    x, y = torch.randn(8, 3, 3), torch.randint(2, (8,))
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()  # backward
    optimizer.step()  # step
