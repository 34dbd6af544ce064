"""GD309: a fused discriminator steps between the generator's forward and its backward.

Seen in: https://github.com/pytorch/pytorch/issues/39141, where fused optimizers are silent
Parameters: discriminator.0.weight, discriminator.2.weight
"""

import torch
from torch import nn

torch.manual_seed(0)

generator, discriminator = nn.Linear(4, 8), nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
opt_g = torch.optim.Adam(generator.parameters(), lr=0.01, fused=True)
opt_d = torch.optim.Adam(discriminator.parameters(), lr=0.01, fused=True)
for _ in range(3):
    fake = generator(torch.randn(6, 4))
    loss_g = -discriminator(fake).mean()
    loss_d = discriminator(fake.detach()).mean() - discriminator(torch.randn(6, 8)).mean()
    opt_d.zero_grad()
    loss_d.backward()
    opt_d.step()  # step
    opt_g.zero_grad()
    loss_g.backward()  # backward
    opt_g.step()
