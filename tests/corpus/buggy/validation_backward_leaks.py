"""GD105: validation calls backward too, and its gradients are applied.

Seen in: https://github.com/harvardnlp/annotated-transformer/issues/14
Parameters: 0.bias, 0.weight, 2.bias, 2.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def compute(x, y):
    loss = F.cross_entropy(model(x), y)
    loss.backward()  # backward
    return loss


for _ in range(3):
    model.train()
    for _ in range(3):
        compute(*batch())
        optimizer.step()  # step
        optimizer.zero_grad()
    model.eval()
    compute(*batch())
