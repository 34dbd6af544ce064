"""Right: an optimizer that wraps another and averages weights.

Pattern: averaged weights
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


class Lookahead(torch.optim.Optimizer):
    def __init__(self, base, k=3, alpha=0.5):
        self.base, self.k, self.alpha, self.count = base, k, alpha, 0
        super().__init__([p for g in base.param_groups for p in g["params"]], {})
        self.slow = [p.detach().clone() for g in base.param_groups for p in g["params"]]

    @torch.no_grad()
    def step(self, closure=None):
        self.base.step()
        self.count += 1
        if self.count % self.k == 0:
            for p, slow in zip(self.param_groups[0]["params"], self.slow):
                slow.lerp_(p, self.alpha)
                p.copy_(slow)


model = net()
optimizer = Lookahead(torch.optim.Adam(model.parameters(), lr=1e-2))
for _ in range(9):
    x, y = batch()
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
