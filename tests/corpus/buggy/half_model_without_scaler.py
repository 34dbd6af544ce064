"""GD410: a model in float16 throughout, with a loss as small as a mean over pixels is, and no scale.

Seen in: OneTrainer#996
"""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1)).half()
optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
for _ in range(14):
    noisy = torch.rand(2, 1, 24, 24).half()
    optimizer.zero_grad()
    residual = net(noisy).float() - noisy.float()
    loss = 1e-4 * residual.square().mean()
    loss.backward()  # backward
    optimizer.step()
