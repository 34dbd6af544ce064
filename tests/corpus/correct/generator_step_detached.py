"""Right: detached for the discriminator only."""

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
    fake = generator(torch.randn(6, 3))
    d_optimizer.zero_grad()
    (discriminator(fake.detach()).mean() - discriminator(real).mean()).backward()
    d_optimizer.step()
    g_optimizer.zero_grad()
    (-discriminator(fake).mean()).backward()
    g_optimizer.step()
