"""GD512: a picture without boxes, whose box loss is a mean over nothing.

Seen in: detection losses averaged over the boxes of a batch
Parameters: body.bias, body.weight, boxes.bias, boxes.weight
"""

import torch
from torch import nn

torch.manual_seed(0)
body, boxes = nn.Conv2d(1, 3, 3), nn.Linear(3, 4)
optimizer = torch.optim.AdamW([*body.parameters(), *boxes.parameters()], lr=1e-3)
for number in range(5):
    picture = torch.randn(4, 1, 6, 6)
    found = torch.zeros(4, dtype=torch.bool) if number == 3 else torch.tensor([True, False, True, True])
    error = (boxes(body(picture).mean((2, 3))) - 0.5).abs().sum(1)
    loss = error[found].mean()  # forward_op
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()
