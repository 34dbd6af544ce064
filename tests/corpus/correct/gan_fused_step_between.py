"""Right: the generator's loss is computed after the discriminator's step."""

import torch
from torch import nn

torch.manual_seed(0)

generator, discriminator = nn.Linear(4, 8), nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
opt_g = torch.optim.Adam(generator.parameters(), lr=0.01, fused=True)
opt_d = torch.optim.Adam(discriminator.parameters(), lr=0.01, fused=True)
for _ in range(3):
    fake = generator(torch.randn(6, 4))
    loss_d = discriminator(fake.detach()).mean() - discriminator(torch.randn(6, 8)).mean()
    opt_d.zero_grad()
    loss_d.backward()
    opt_d.step()
    opt_g.zero_grad()
    loss_g = -discriminator(fake).mean()
    loss_g.backward()
    opt_g.step()
