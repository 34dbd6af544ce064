"""GD101: of two optimizers, only one is cleared.

Seen in: https://github.com/Hsintien-Ng/idinvert_pytorch-reproduced/issues/1
Parameters: head.bias, head.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


body, head = nn.Linear(4, 8), nn.Linear(8, 2)
body_optimizer = torch.optim.SGD(body.parameters(), lr=0.1)
head_optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
for _ in range(5):
    x, y = batch()
    body_optimizer.zero_grad()
    F.cross_entropy(head(F.relu(body(x))), y).backward()  # backward
    body_optimizer.step()
    head_optimizer.step()  # step
