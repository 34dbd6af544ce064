"""Right: experts without tokens get no gradient.

Pattern: sparse activation
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


class MoE(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(4, 3)
        self.experts = nn.ModuleList(nn.Linear(4, 2) for _ in range(3))

    def forward(self, x):
        scores = self.gate(x).softmax(1)
        chosen = int(scores.mean(0).argmax() if torch.rand(()) < 0.5 else torch.randint(3, ()))
        return self.experts[chosen](x) * scores[:, chosen : chosen + 1]


model = MoE()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for _ in range(15):
    x, y = batch()
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
