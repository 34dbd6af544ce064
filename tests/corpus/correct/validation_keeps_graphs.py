"""Right: validation under inference_mode."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
net = nn.Sequential(
    nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)
)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True)


@torch.inference_mode()
def validate(batches):
    net.eval()
    losses = []
    for x, y in batches:
        losses.append(F.cross_entropy(net(x), y).item())
    net.train()
    return sum(losses) / len(losses)


held_out = [(torch.randn(4, 3, 9, 9), torch.randint(4, (4,))) for _ in range(6)]
for epoch in range(2):
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(net(torch.randn(8, 3, 9, 9)), torch.randint(4, (8,))).backward()
        optimizer.step()
    print(f"{epoch} {validate(held_out):.3f}")
