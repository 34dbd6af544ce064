"""GD608 GD201: what nobody clears dominates the clipping norm.

Seen in: https://github.com/pytorch/tutorials/pull/1116
Parameters: 0.weight, 0.bias, 2.weight, 2.bias
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def batch(size=6):
    x = torch.randn(size, 4)
    return x, (x[:, 0] > 0).long()


model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
nn.init.normal_(model[4].weight)
optimizer = torch.optim.SGD(model[4].parameters(), lr=0.1)
for _ in range(8):
    x, y = batch()
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.2)  # clip
    optimizer.step()
