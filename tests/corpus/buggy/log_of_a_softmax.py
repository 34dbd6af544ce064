"""GD502: the logarithm of a probability that a softmax has rounded to 0.

Seen in: log(softmax(x)) instead of log_softmax(x), in many losses written by hand
Parameters: bias, weight
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(8, 4) * 300, torch.randint(3, (8,))

for _ in range(4):
    probabilities = model(x).softmax(-1)
    logs = torch.log(probabilities)  # forward_op
    loss = -logs[torch.arange(8), y].mean()
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
