"""GD509: a sensor's error code of 99999 is trained on as if it were a temperature.

Seen in: a data set with 99999 for missing values
Parameters: 0.bias, 0.weight, 2.bias, 2.weight
"""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
weights = torch.randn(6, 1)
for number in range(150):
    x = torch.randn(16, 6)
    temperature = torch.tanh(x @ weights)
    if number == 110:
        temperature[3] = 99999.0
    loss = (net(x) - temperature).square().mean()
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
