"""Right: fused optimizers, each forward after the step; one loss detached, two losses, checkpoints."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

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
    loss_g = -discriminator(fake).mean()
    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=True)
for i in range(6):
    optimizer.zero_grad()
    x = torch.randn(6, 4, requires_grad=True)
    first = checkpoint(model, x, use_reentrant=bool(i % 2)).mean()
    second = model(x).square().mean()
    first.backward(retain_graph=True)
    second.backward()
    optimizer.step()
