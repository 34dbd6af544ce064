"""Right: after some epochs the statistics of batch norm are frozen, layer by layer; dropout goes on.

Seen in: CORRECT.md, frozen batch norm.
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for epoch in range(4):
    model.train()
    if epoch >= 2:
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm1d):
                layer.eval()
    for _ in range(5):
        x, y = torch.randn(16, 6), torch.randint(3, (16,))
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        model(torch.randn(16, 6))
