"""Right: MAML inner steps on fast weights, one outer backward.

Pattern: meta-learning
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


from torch.func import functional_call

model = net()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for _ in range(4):
    optimizer.zero_grad()
    for _ in range(3):
        weights = dict(model.named_parameters())
        x, y = batch()
        inner = F.cross_entropy(functional_call(model, weights, (x,)), y)
        grads = torch.autograd.grad(inner, list(weights.values()), create_graph=True)
        weights = {name: w - 0.1 * g for (name, w), g in zip(weights.items(), grads)}
        x, y = batch()
        (F.cross_entropy(functional_call(model, weights, (x,)), y) / 3).backward()
    optimizer.step()
