"""Right: the rate begins at next to nothing, rises, and falls to next to nothing again.

Pattern: schedule near zero
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 10 ** (-abs(n - 75) / 8))
for _ in range(150):
    x = torch.randn(16, 4)
    loss = F.cross_entropy(model(x), (x[:, 0] > 0).long())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
