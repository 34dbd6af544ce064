"""GD303: the generator's loss was cut off from the generator.

Seen in: https://github.com/nikhilsinghmus/image2reverb/issues/37
Parameters: generator.bias, generator.weight
"""

import torch
from torch import nn

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


generator, discriminator = nn.Linear(3, 4), net()
g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3)
d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3)
for _ in range(5):
    real, _ = batch()
    fake = generator(torch.randn(6, 3)).detach()
    d_optimizer.zero_grad()
    (discriminator(fake).mean() - discriminator(real).mean()).backward()
    d_optimizer.step()
    g_optimizer.zero_grad()
    (-discriminator(fake).mean()).backward()  # backward
    g_optimizer.step()  # step
