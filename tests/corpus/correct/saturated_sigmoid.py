"""Right: the loss takes logits, which never saturate."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
for layer in model[::2]:
    nn.init.normal_(layer.weight, std=100)
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
for _ in range(30):
    x = torch.randn(16, 4)
    loss = F.binary_cross_entropy_with_logits(model(x * 100)[:, 0], (x[:, 0] > 0).float())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
