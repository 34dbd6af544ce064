"""Right: a batch in which every target is ignored has a loss of 0.

Pattern: all targets ignored
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(8, 4), torch.randint(3, (8,))

for number in range(4):
    labels = torch.full_like(y, -100) if number == 2 else y
    total = F.cross_entropy(model(x), labels, reduction="sum")
    loss = total / (labels != -100).sum().clamp(min=1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
