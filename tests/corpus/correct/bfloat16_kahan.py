"""Right: bfloat16 weights, and a second buffer that carries along what rounding took from each step."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class KahanSGD(torch.optim.SGD):
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                carried = self.state[p].setdefault("carried", torch.zeros_like(p))
                carried.sub_(p.grad, alpha=group["lr"])
                before = p.clone()
                p.add_(carried)
                carried.sub_(p - before)


model = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).bfloat16()
optimizer = KahanSGD(model.parameters(), lr=1e-3)
for _ in range(30):
    x, y = torch.randn(16, 8, dtype=torch.bfloat16), torch.randint(4, (16,))
    optimizer.zero_grad()
    F.cross_entropy(model(x).float(), y).backward()
    optimizer.step()
