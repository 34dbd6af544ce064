"""GD310: the first stage of a network is checkpointed, and its input is an image.

Parameters: stem.*
"""

import warnings

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

warnings.filterwarnings("ignore", message="None of the inputs have requires_grad")
torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2))
        self.tail = nn.Conv2d(4, 6, 3)

    def run_stem(self, x):
        return self.stem(x)

    def forward(self, x):
        x = checkpoint(self.run_stem, x, use_reentrant=True)  # checkpoint
        return self.tail(F.relu(x)).mean((2, 3))


net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
for epoch in range(2):
    for _ in range(3):
        images, labels = torch.randn(4, 3, 8, 8), torch.randint(6, (4,))
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()  # step
