"""Right: bfloat16 weights and steps of 1e-4, rounded up or down at random so that they add up in the mean."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class RoundingSGD(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    exact = p.float() - group["lr"] * p.grad.float()
                    bits = exact.view(torch.int32) + torch.randint(1 << 16, exact.shape, dtype=torch.int32)
                    p.copy_((bits & -(1 << 16)).view(torch.float32))


model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4)).bfloat16()
optimizer = RoundingSGD(model.parameters(), lr=1e-4)
for _ in range(30):
    x, y = torch.randn(16, 8, dtype=torch.bfloat16), torch.randint(4, (16,))
    optimizer.zero_grad()
    F.cross_entropy(model(x).float(), y).backward()
    optimizer.step()
