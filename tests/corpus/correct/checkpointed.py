"""Right: non-reentrant checkpointing with dropout inside.

Pattern: checkpointing
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


from torch.utils.checkpoint import checkpoint


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 2)
        self.middle = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.1), nn.ReLU())

    def forward(self, x):
        return self.last(checkpoint(self.middle, self.first(x), use_reentrant=False))


model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
for _ in range(5):
    x, y = batch()
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
