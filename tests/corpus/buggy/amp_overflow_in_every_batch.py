"""GD409 GD502: attention scores that are divided after the product overflow float16 in the forward, whatever
the scale.

Seen in: https://github.com/lucidrains/stylegan2-pytorch/issues/100
Parameters: key.bias, key.weight, query.bias, query.weight, value.bias, value.weight
"""

import math

import torch
from torch import nn

torch.manual_seed(0)
width = 64
query, key, value = (nn.Linear(width, width) for _ in range(3))
parameters = [*query.parameters(), *key.parameters(), *value.parameters()]
optimizer = torch.optim.Adam(parameters, lr=1e-4)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
for _ in range(24):
    x = torch.randn(4, 6, width) * 120
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16):
        scores = query(x) @ key(x).mT / math.sqrt(width)
        mixed = (scores.softmax(-1) @ value(x)).float()
    loss = (mixed - x).abs().mean() / 100
    scaler.scale(loss).backward()
    scaler.step(optimizer)  # step
    scaler.update()
