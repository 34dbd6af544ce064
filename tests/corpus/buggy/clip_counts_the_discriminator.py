"""GD608: the generator is clipped by a norm that is mostly the discriminator's.

Seen in: GANs whose two networks are one module, and clipped as one
Parameters: gan.discriminator.*
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Gan(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
        self.discriminator = nn.Sequential(nn.Linear(3, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))

    def forward(self, noise):
        return self.discriminator(self.generator(noise))


gan = Gan()
g_optimizer = torch.optim.Adam(gan.generator.parameters(), lr=1e-3)
d_optimizer = torch.optim.Adam(gan.discriminator.parameters(), lr=1e-3)
for _ in range(8):
    real, noise = 5 * torch.randn(16, 3), torch.randn(16, 2)
    d_optimizer.zero_grad()
    judged = torch.cat([gan.discriminator(real), gan.discriminator(gan.generator(noise).detach())])
    F.binary_cross_entropy_with_logits(judged, torch.cat([torch.ones(16, 1), torch.zeros(16, 1)])).backward()
    d_optimizer.step()

    g_optimizer.zero_grad()
    F.binary_cross_entropy_with_logits(gan(noise), torch.ones(16, 1)).backward()
    nn.utils.clip_grad_norm_(gan.parameters(), 0.05)  # clip
    g_optimizer.step()  # step
