"""GD512: a batch in which every target is ignored.

Seen in: a batch of padding in token classification, whose mean over no target is 0/0
Parameters: bias, weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(8, 4), torch.randint(3, (8,))
average = 0.0

for number in range(4):
    labels = torch.full_like(y, -100) if number == 2 else y
    loss = F.cross_entropy(model(x), labels)  # forward_op
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()
    average += loss.item()
