"""Right: padding gets no gradient, an all-ignored batch gives NaN loss and zero gradients.

Pattern: exact zeros; all targets ignored
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


model = nn.Sequential(nn.Embedding(10, 4, padding_idx=0), nn.Linear(4, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for i in range(6):
    tokens = torch.randint(10, (4, 5))
    wanted = torch.full((20,), -100) if i == 3 else tokens.flatten()
    optimizer.zero_grad()
    F.cross_entropy(model(tokens).flatten(0, 1), wanted).backward()
    optimizer.step()
