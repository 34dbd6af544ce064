"""GD108: zeros instead of None let momentum move an idle branch.

Seen in: pytorch PR#42754 review: zeros keep momentum and decay going
Parameters: optimizer.params[0], optimizer.params[1], right.bias, right.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


left, right = nn.Linear(4, 2), nn.Linear(4, 2)
optimizer = torch.optim.SGD([*left.parameters(), *right.parameters()], lr=0.1, momentum=0.9)
for i in range(6):
    x, y = batch()
    optimizer.zero_grad(set_to_none=False)
    branch = left if i % 2 else right
    F.cross_entropy(branch(x), y).backward()
    optimizer.step()  # step
