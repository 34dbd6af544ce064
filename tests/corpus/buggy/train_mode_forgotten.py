"""GD801: evaluate() puts the model in eval mode after the first epoch, and nothing puts it back.

Seen in: https://github.com/wkentaro/pytorch-fcn/issues/57
Parameters: 0.*, 1.*, 4.*
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def block(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())


model = nn.Sequential(block(1, 4), block(4, 8), nn.Flatten(), nn.Dropout(0.3), nn.Linear(8 * 16, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
images, labels = torch.randn(24, 1, 4, 4), torch.randint(3, (24,))


def evaluate():
    model.eval()
    with torch.no_grad():
        return F.cross_entropy(model(images), labels).item()  # evaluation


model.train()
for epoch in range(3):
    for i in range(0, 24, 6):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images[i : i + 6]), labels[i : i + 6])
        loss.backward()  # backward
        optimizer.step()  # step
    evaluate()
