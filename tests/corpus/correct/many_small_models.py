"""Right: a grid of rates trains a hundred tiny models, one after the other.

Pattern: many models
"""

import torch
from torch import nn


def final_loss(rate):
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for _ in range(2):
        x = torch.randn(8, 3)
        loss = (model(x) - x[:, :1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


torch.manual_seed(0)
print(min(final_loss(0.001 * number) for number in range(1, 101)) < 1)
