"""Right: a comment acknowledges the tail of the last epoch."""

import torch
from torch import nn

torch.manual_seed(0)
gru = nn.GRU(3, 8, batch_first=True)
head = nn.Linear(8, 3)
optimizer = torch.optim.AdamW([*gru.parameters(), *head.parameters()], lr=1e-2)
series = torch.randn(11, 6, 12, 3).cumsum(2)

for number, batch in enumerate(series, start=1):
    states, _ = gru(batch[:, :-1])
    loss = (head(states) - batch[:, 1:]).square().mean() / 4
    # graddebug: ignore[GD109] three batches are no loss
    loss.backward()
    if number % 4 == 0:
        optimizer.step()
        optimizer.zero_grad()
