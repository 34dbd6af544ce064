"""GD506: Adam over float16 weights, where its eps is 0 and one input is always 0.

Seen in: https://github.com/afiaka87/glide-finetune/issues/5
Parameters: weight
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 2).half()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
x = torch.randn(8, 4).half()
x[:, 0] = 0

for _ in range(4):
    loss = model(x).float().square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()  # step
