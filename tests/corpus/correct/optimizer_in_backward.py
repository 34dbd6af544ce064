"""Right: each parameter steps and clears in a hook while backward runs.

Pattern: optimizer in backward
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


model = net()
optimizers = {p: torch.optim.SGD([p], lr=0.1) for p in model.parameters()}


def step_now(p):
    optimizers[p].step()
    optimizers[p].zero_grad()


for p in model.parameters():
    p.register_post_accumulate_grad_hook(step_now)
for _ in range(6):
    x, y = batch()
    F.cross_entropy(model(x), y).backward()
