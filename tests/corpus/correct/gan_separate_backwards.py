"""Right: real and fake losses have a backward each, as in DCGAN.

Pattern: GAN
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
for _ in range(8):
    real, _ = batch()
    discriminator.zero_grad()
    discriminator(real).mean().backward()
    fake = generator(torch.randn(6, 3))
    (-discriminator(fake.detach())).mean().backward()
    d_optimizer.step()
    generator.zero_grad()
    discriminator(fake).mean().backward()
    g_optimizer.step()
