"""Right: the same in float32, which holds gradients as small as these."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
for _ in range(14):
    noisy = torch.rand(2, 1, 24, 24)
    optimizer.zero_grad()
    residual = net(noisy).float() - noisy.float()
    loss = 1e-4 * residual.square().mean()
    loss.backward()
    optimizer.step()
