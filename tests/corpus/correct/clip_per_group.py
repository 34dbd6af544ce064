"""Right: each of two groups of parameters is clipped by a norm of its own."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.ModuleDict({"body": nn.Linear(4, 8), "head": nn.Linear(8, 1)})
optimizer = torch.optim.SGD([{"params": part.parameters()} for part in model.values()], lr=0.01)
for _ in range(6):
    x = torch.randn(8, 4)
    loss = (model["head"](model["body"](x).relu()) - 3 * x[:, :1]).square().sum()
    optimizer.zero_grad()
    loss.backward()
    for group in optimizer.param_groups:
        nn.utils.clip_grad_norm_(group["params"], 1.0)
    optimizer.step()
