"""GD510: the sigmoid is at 0 or 1 exactly, and the loss has no slope there.

Seen in: https://github.com/NVIDIA/apex/issues/240 asks about such losses in half; BCE on a saturated
sigmoid has no slope
Parameters: 0.bias, 0.weight, 2.bias, 2.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
for layer in model[::2]:
    nn.init.normal_(layer.weight, std=100)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(30):
    x = torch.randn(16, 4)
    probability = torch.sigmoid(model(x * 100)[:, 0])
    loss = F.binary_cross_entropy(probability, (x[:, 0] > 0).float())
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
