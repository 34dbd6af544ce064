"""Right: the image is optimised, the frozen network only looks.

Pattern: input gradients
"""

import torch
from torch import nn

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


model = net().eval().requires_grad_(False)
image = torch.randn(6, 4, requires_grad=True)
optimizer = torch.optim.LBFGS([image], max_iter=4)


def closure():
    optimizer.zero_grad()
    loss = model(image).pow(2).mean()
    loss.backward()
    return loss


for _ in range(4):
    optimizer.step(closure)
