"""GD603: the clip is given the gradients, which have no gradients.

Seen in: transformers#46113
Parameters: *
"""

import torch
from torch import nn

torch.manual_seed(0)
layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
head = nn.Linear(8, 1)
model = nn.ModuleDict({"layer": layer, "head": head})
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(6):
    x = torch.randn(4, 5, 8)
    loss = (head(layer(x)).squeeze(-1) - x.mean(-1)).square().sum()
    loss.backward()
    nn.utils.clip_grad_norm_([p.grad for p in model.parameters()], 1.0)  # clip
    optimizer.step()  # step
    optimizer.zero_grad()
