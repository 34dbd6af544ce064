"""Right: the attack runs in eval mode and its gradients are cleared.

Pattern: input gradients
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(5):
    x, y = batch()
    model.eval()
    attacked = x.clone()
    for _ in range(3):
        attacked.requires_grad_()
        F.cross_entropy(model(attacked), y).backward()
        attacked = (attacked + 0.05 * attacked.grad.sign()).detach()
    model.train()
    optimizer.zero_grad()
    F.cross_entropy(model(attacked), y).backward()
    optimizer.step()
