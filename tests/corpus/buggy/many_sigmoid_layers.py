"""GD508: the gradient is a millionth of itself when it reaches the first of nine layers.

Seen in: the vanishing gradients of deep sigmoid networks (Glorot and Bengio, 2010)
Parameters: 0.weight, 2.weight, 4.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
layers = [layer for _ in range(8) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
model = nn.Sequential(*layers, nn.Linear(16, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(40):
    x = torch.randn(32, 16)
    loss = F.cross_entropy(model(x), x[:, :4].argmax(1))
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
