"""GD111: a check by hand skips the step where the loss is inf, and the gradients of it stay.

Seen in: https://github.com/espnet/espnet/pull/3283
Parameters: bias, weight
"""

import torch
from torch import nn

torch.manual_seed(0)
rate = nn.Linear(3, 1)
optimizer = torch.optim.Adam(rate.parameters(), lr=1e-2)
for number in range(7):
    x, count = torch.randn(8, 3), torch.randint(4, (8, 1)).float()
    if number == 3:
        x[:2] = torch.tensor([[1e9], [-1e9]])
    log_rate = rate(x)
    loss = (log_rate.exp() - count * log_rate).mean()
    loss.backward()  # backward
    if not torch.stack([p.grad.isfinite().all() for p in rate.parameters()]).all():
        print("skipped", number)
        continue
    optimizer.step()
    optimizer.zero_grad()
