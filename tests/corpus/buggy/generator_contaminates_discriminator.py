"""GD104: the generator's backward stays in the discriminator.

Seen in: https://github.com/Lightning-AI/pytorch-lightning/issues/591
Parameters: discriminator.0.bias, discriminator.0.weight, discriminator.2.bias, discriminator.2.weight
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
    fake = generator(torch.randn(6, 3))
    d_loss = discriminator(fake.detach()).mean() - discriminator(real).mean()
    d_loss.backward()
    d_optimizer.step()  # step
    d_optimizer.zero_grad()
    g_optimizer.zero_grad()
    g_loss = -discriminator(fake).mean()
    g_loss.backward()  # foreign_backward
    g_optimizer.step()
