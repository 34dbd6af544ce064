"""Right: low-rank adapters on a frozen layer.

Pattern: adapters
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


class Lora(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = nn.Linear(4, 2).requires_grad_(False)
        self.a = nn.Parameter(torch.randn(4, 2))
        self.b = nn.Parameter(torch.zeros(2, 2))

    def forward(self, x):
        return self.base(x) + x @ self.a @ self.b


model = Lora()
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
for _ in range(6):
    x, y = batch()
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
