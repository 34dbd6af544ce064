"""GD302: while a leak was looked for, a detach() found its way into a loss term, and stayed.

Seen in: FL-MRCM#10
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(8, 4)
        self.decode = nn.Linear(2, 8)

    def forward(self, x):
        mean, log_variance = self.encode(x).chunk(2, dim=1)
        code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.decode(code), mean, log_variance


def elbo(model, x, beta):
    out, mean, log_variance = model(x)
    reconstruction = F.mse_loss(out, x, reduction="sum") / len(x)
    kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
    terms = {"reconstruction": reconstruction, "kl": kl.detach()}
    return terms["reconstruction"] + beta * terms["kl"], terms  # added


vae = VAE()
optimizer = torch.optim.SGD(vae.parameters(), lr=1e-2)
for _ in range(12):
    optimizer.zero_grad(set_to_none=True)
    loss, terms = elbo(vae, torch.randn(16, 8), beta=0.5)
    loss.backward()  # backward
    optimizer.step()
