"""GD602: the clip stands in front of the backward.

Seen in: onsets-and-frames#24
Parameters: 0.weight, 0.bias, 3.weight, 3.bias
"""

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
criterion = nn.CrossEntropyLoss()
for _ in range(6):
    images, labels = torch.randn(8, 1, 8, 8), torch.randint(3, (8,))
    optimizer.zero_grad()
    loss = criterion(model(images), labels)
    clip_grad_norm_(model.parameters(), 0.5)  # clip
    loss.backward()  # backward
    optimizer.step()  # step
