"""GD208: the image that is to be optimised does not require grad; only the network's weights get gradients.

Parameters: optimizer.params[0]
"""

import torch
from torch import nn

torch.manual_seed(0)
network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
style = torch.rand(1, 1, 10, 10)


def gram(features):
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[-1]


with torch.no_grad():
    target = gram(network(style))
image = torch.rand(1, 1, 10, 10)
optimizer = torch.optim.Adam([image], lr=0.05)
for _ in range(10):
    optimizer.zero_grad()
    loss = (gram(network(image)) - target).square().mean()
    loss.backward()  # backward
    optimizer.step()  # step
