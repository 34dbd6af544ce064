"""Right: the step uses the graph of the gradients; they are cleared right after it.

Pattern: double backward
"""

import warnings

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


warnings.filterwarnings("ignore", message="Using backward.. with create_graph=True")
model = net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(4):
    x, y = batch()
    F.cross_entropy(model(x), y).backward(create_graph=True)
    grads = [p.grad for p in model.parameters()]
    torch.autograd.grad(grads, list(model.parameters()), [torch.ones_like(g) for g in grads])
    optimizer.step()
    optimizer.zero_grad()
