"""Right: gradient penalty by double backward, five critic steps a generator step.

Pattern: double backward
"""

import torch
from torch import nn

torch.manual_seed(0)


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


generator, critic = nn.Linear(3, 4), nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3)
c_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)
for i in range(20):
    real, _ = batch()
    with torch.no_grad():
        fake = generator(torch.randn(6, 3))
    mixed = (real + fake).div(2).requires_grad_()
    grad = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)[0]
    loss = critic(fake).mean() - critic(real).mean() + 10 * (grad.norm(dim=1) - 1).pow(2).mean()
    c_optimizer.zero_grad()
    loss.backward()
    c_optimizer.step()
    if i % 5 == 4:
        g_optimizer.zero_grad()
        (-critic(generator(torch.randn(6, 3))).mean()).backward()
        g_optimizer.step()
