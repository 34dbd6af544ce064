"""GD507: the readout of a fixed recurrent reservoir is trained at a rate beyond what its states allow.

Seen in: gradient descent on echo state networks, whose states are strongly correlated
Parameters: bias
"""

import torch
from torch import nn

torch.manual_seed(0)
inside, into = torch.randn(20, 20) * 0.15, torch.randn(3, 20)
read = nn.Linear(20, 1)
optimizer = torch.optim.SGD(read.parameters(), lr=0.5, momentum=0.3)
for _ in range(30):
    x = torch.randn(16, 4, 3)
    state = torch.zeros(16, 20)
    for moment in range(4):
        state = torch.tanh(state @ inside + x[:, moment] @ into)
    loss = (read(state) - x.sum((1, 2))[:, None]).square().mean()
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
