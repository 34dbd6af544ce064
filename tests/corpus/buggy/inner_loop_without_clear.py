"""GD101: several critic steps in a row share one clear.

Seen in: https://github.com/ajbrock/BigGAN-PyTorch/issues/25
Parameters: 0.bias, 0.weight, 2.bias, 2.weight
"""

import torch
from torch import nn

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


critic = net()
optimizer = torch.optim.RMSprop(critic.parameters(), lr=1e-3)
for _ in range(4):
    optimizer.zero_grad()
    for _ in range(3):
        x, y = batch()
        critic(x).mean().backward()  # backward
        optimizer.step()  # step
