"""Right: truncated backpropagation through time with a detached state.

Pattern: truncated backpropagation
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


lstm, head = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 2)
optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=1e-2)
state = None
for _ in range(6):
    x, y = torch.randn(3, 5, 4), torch.randint(2, (3,))
    optimizer.zero_grad()
    out, state = lstm(x, state)
    F.cross_entropy(head(out[:, -1]), y).backward()
    optimizer.step()
    state = tuple(s.detach() for s in state)
