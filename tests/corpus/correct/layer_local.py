"""Right: each layer trains on its own loss.

Pattern: layer-local training
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


layers = nn.ModuleList([nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 2)])
optimizers = [torch.optim.SGD(layer.parameters(), lr=0.05) for layer in layers]
for _ in range(5):
    x, y = batch()
    for layer, optimizer in zip(layers, optimizers):
        out = layer(x.detach())
        loss = F.cross_entropy(out[:, :2], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        x = F.relu(out)
