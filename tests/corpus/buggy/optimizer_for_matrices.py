"""GD210: an optimizer that orthogonalises matrices and skips what is none; the biases were given to it, too.

Parameters: *.bias
"""

import torch
from torch import nn

torch.manual_seed(0)


class Orthogonal(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim == 2:
                    u, _, v = torch.linalg.svd(p.grad, full_matrices=False)
                    p.sub_(u @ v, alpha=group["lr"])


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(10, 4), nn.Linear(4, 10)

    def forward(self, x):
        return self.decode(self.encode(x).tanh())


model = Autoencoder()
optimizer = Orthogonal(model.parameters(), lr=0.02)
for _ in range(12):
    x = torch.randn(16, 10) + 1
    loss = (model(x) - x).square().mean()
    model.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
