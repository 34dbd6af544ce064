"""GD001: the evaluation runs without graphs by now, and a comment still acknowledges that it builds them."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
images, labels = torch.randn(48, 1, 8, 8), torch.randint(0, 3, (48,))


@torch.no_grad()
def evaluate():
    model.eval()
    correct = 0
    for i in range(32, 48, 4):
        correct += (
            model(images[i : i + 4])  # graddebug: ignore[GD304] four images only  # comment
            .argmax(1)
            .eq(labels[i : i + 4])
            .sum()
        )
    model.train()
    return correct


for epoch in range(3):
    for i in range(0, 32, 8):
        optimizer.zero_grad()
        F.cross_entropy(model(images[i : i + 8]), labels[i : i + 8]).backward()
        optimizer.step()
    evaluate()
