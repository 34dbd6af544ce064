"""Right: one forward of the discriminator on the fakes serves both losses, by retain_graph and `inputs=`.

Pattern: one forward for two losses
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
discriminator = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.99))
d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.99))
for _ in range(8):
    fake = generator(torch.randn(12, 4))
    judged = discriminator(fake)
    d_loss = F.softplus(judged).mean() + F.softplus(-discriminator(torch.randn(12, 2) + 2)).mean()
    g_loss = F.softplus(-judged).mean()
    d_optimizer.zero_grad()
    g_optimizer.zero_grad()
    d_loss.backward(retain_graph=True, inputs=list(discriminator.parameters()))
    g_loss.backward(inputs=list(generator.parameters()))
    d_optimizer.step()
    g_optimizer.step()
