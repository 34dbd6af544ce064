"""GD202: a module called by itself is replaced in the middle of training.

Seen in: https://github.com/pytorch/pytorch/issues/54765
Parameters: nets['head']#2.bias, nets['head']#2.weight, nets['head'].bias, nets['head'].weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


nets = {"body": nn.Linear(4, 8), "head": nn.Linear(8, 2)}
optimizer = torch.optim.SGD([p for part in nets.values() for p in part.parameters()], lr=0.1)
for number in range(9):
    x, y = batch()
    if number == 4:
        nets["head"] = nn.Linear(8, 2)
    optimizer.zero_grad()
    F.cross_entropy(nets["head"](nets["body"](x).relu()), y).backward()  # backward
    optimizer.step()  # step
